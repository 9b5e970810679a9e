#include "ogg_voice_test.h"

#include <time.h>

static const paging usual = {.on_each = 5, .serial = 7};

static void add_all_sound(blob *b, const paging *how) {
    for (int page = 0; page < pages_of(how); page++)
        add_sound(b, &v, how, page);
}

/* A packet over as many pages as it takes, from page 1 on. */
static void add_long_packet(blob *b, const uint8_t *data, size_t n) {
    const size_t whole = 255 * 255;
    for (size_t at = 0, page = 0;; at += whole, page++) {
        int more = n - at >= whole;
        packet piece = {data + at, more ? whole : n - at};
        add_page(b, page ? CONTINUED : 0, 7, (uint32_t)page + 1, more ? -1 : 0, &piece, 1, more);
        if (!more)
            return;
    }
}

/* Each makes a file whose sound is that of the voice. */
static void short_tags(blob *b) {
    packet tags = {"OpusTags", 8};
    add_page(b, FIRST, 7, 0, 0, &v.head, 1, 0);
    add_page(b, 0, 7, 1, 0, &tags, 1, 0);
    add_all_sound(b, &usual);
}

static void no_tags(blob *b) {
    add_page(b, FIRST, 7, 1, 0, &v.head, 1, 0);
    add_all_sound(b, &usual);
}

static void lost_tags(blob *b) {
    add_page(b, FIRST, 7, 0, 0, &v.head, 1, 0);
    add_all_sound(b, &usual);
}

static void damaged_tags(blob *b) {
    add_headers(b, &v, &usual);
    b->data[page_at(b, 1) + 100] ^= 1;
    add_all_sound(b, &usual);
}

static void headers_twice(blob *b) {
    add_headers(b, &v, &usual);
    add_headers(b, &v, &usual);
    add_all_sound(b, &usual);
}

static void head_twice(blob *b) {
    add_page(b, FIRST, 7, 0, 0, &v.head, 1, 0);
    add_headers(b, &v, &usual);
    add_all_sound(b, &usual);
}

static void tags_twice(blob *b) {
    add_headers(b, &v, &usual);
    add_page(b, 0, 7, 1, 0, &v.tags, 1, 0);
    add_all_sound(b, &usual);
}

static void headers_on_one_page(blob *b) {
    const packet both[] = {v.head, v.tags};
    add_page(b, FIRST, 7, 1, 0, both, 2, 0);
    add_all_sound(b, &usual);
}

static void head_not_marked_as_first(blob *b) {
    add_headers(b, &v, &usual);
    b->data[5] = 0;
    seal(b, 0, page_at(b, 1));
    add_all_sound(b, &usual);
}

static void every_page_marked_as_first(blob *b) {
    add_headers(b, &v, &usual);
    for (int i = 0; i < VOICE_PACKETS; i++)
        add_page(b, FIRST | (i + 1 == VOICE_PACKETS ? LAST : 0), 7, (uint32_t)i + 2,
                 i + 1 == VOICE_PACKETS ? VOICE_END : (int64_t)(i + 1) * VOICE_PACKET, v.sound + i,
                 1, 0);
}

static void tags_of(blob *b, size_t n) {
    uint8_t *tags = calloc(1, n);
    assert_non_null(tags);
    memcpy(tags, "OpusTags", 8);
    memset(tags + 8, 0xAB, n - 8);
    add_page(b, FIRST, 7, 0, 0, &v.head, 1, 0);
    add_long_packet(b, tags, n);
    free(tags);
    uint32_t number = (uint32_t)(n / (255 * 255)) + 2;
    for (int i = 0; i < VOICE_PACKETS; i++)
        add_page(b, i + 1 == VOICE_PACKETS ? LAST : 0, 7, number++,
                 i + 1 == VOICE_PACKETS ? VOICE_END : (int64_t)(i + 1) * VOICE_PACKET, v.sound + i,
                 1, 0);
}

static void tags_with_a_picture(blob *b) {
    tags_of(b, 200000);
}

static void tags_with_a_large_picture(blob *b) {
    tags_of(b, 3 << 20);
}

static void with_head(blob *b, const uint8_t *data, size_t n) {
    packet head = {data, n};
    add_page(b, FIRST, 7, 0, 0, &head, 1, 0);
    add_page(b, 0, 7, 1, 0, &v.tags, 1, 0);
    add_all_sound(b, &usual);
}

/* The header with a channel mapping of its own: family, streams, coupled, then the table. */
static void mapped(blob *b, uint8_t channels, const char *mapping, size_t n) {
    uint8_t head[64];
    memcpy(head, v.head.data, 18);
    head[9] = channels;
    memcpy(head + 18, mapping, n);
    with_head(b, head, 18 + n);
}

static void long_head(blob *b) {
    uint8_t head[40] = {0};
    memcpy(head, v.head.data, 19);
    head[8] = 15; /* the highest version that is compatible */
    with_head(b, head, sizeof head);
}

static void family_1(blob *b) {
    mapped(b, 1, "\1\1\0\0", 4);
}

static void family_1_stereo(blob *b) {
    mapped(b, 2, "\1\1\0\0\0", 5);
}

static void family_255(blob *b) {
    mapped(b, 1, "\377\1\0\0", 4);
}

static void family_255_of_ten(blob *b) {
    mapped(b, 10, "\377\1\0\0\0\0\0\0\0\0\0\0\0", 13);
}

static void family_unknown(blob *b) {
    mapped(b, 1, "\7\1\0\0", 4);
}

/* Ambisonics: the first channel is the sound of all directions, the others are silent. */
static void family_2(blob *b) {
    mapped(b, 4, "\2\1\0\0\377\377\377", 7);
}

/* A matrix that makes the sound of all directions from the one stream, and three other channels. */
static void family_3(blob *b) {
    mapped(b, 4, "\3\1\0\377\177\0\0\0\1\0\2", 11);
}

static void crlf_before(blob *b) {
    add_bytes(b, "\r\n", 2);
    blob file = voice_file(&v, &usual);
    add_bytes(b, file.data, file.n);
    free(file.data);
}

static void id3_before(blob *b) {
    static const uint8_t tag[10 + 300] = {'I', 'D', '3', 3, 0, 0, 0, 0, 2, 44};
    add_bytes(b, tag, sizeof tag);
    blob file = voice_file(&v, &usual);
    add_bytes(b, file.data, file.n);
    free(file.data);
}

static void two_tags_and_crlf_before(blob *b) {
    id3_before(b);
    blob rest = {0};
    add_bytes(&rest, b->data, 310);
    crlf_before(&rest);
    b->n = 310;
    add_bytes(b, rest.data, rest.n);
    free(rest.data);
}

static void noise_before(blob *b) {
    for (uint32_t i = 0, x = 3; i < 40000; i++) {
        x = x * 1664525 + 1013904223;
        uint8_t byte = x >> 24 == 0xFF ? 0 : (uint8_t)(x >> 24); /* nothing like an MP3 */
        add_bytes(b, &byte, 1);
    }
    crlf_before(b);
}

static void junk_between_pages(blob *b) {
    add_headers(b, &v, &usual);
    for (int page = 0; page < pages_of(&usual); page++) {
        add_bytes(b, "OggS is not a page", 18);
        add_sound(b, &v, &usual, page);
    }
}

static void tag_behind(blob *b) {
    crlf_before(b);
    add_bytes(b, "TAGtitle\0\0\0", 11);
}

static void pages_unnumbered(blob *b) {
    const paging how = {.on_each = 5, .serial = 7, .unnumbered = 1};
    add_headers(b, &v, &how);
    add_all_sound(b, &how);
}

/* The end is counted from the granule position of the page before. */
static void granules_that_begin_late(blob *b) {
    const paging how = {.on_each = 5, .serial = 7, .before = 1000000007};
    add_headers(b, &v, &how);
    add_all_sound(b, &how);
}

static void granules_that_begin_early(blob *b) {
    const paging how = {.on_each = 5, .serial = 7, .before = -5 * VOICE_PACKET - 8};
    add_headers(b, &v, &how);
    add_all_sound(b, &how);
}

static void another_mono_stream(blob *b) {
    add_beside(b, &v, &usual, 1, 0);
}

static void stream_of_another_codec(blob *b) {
    const packet other = {"\200theora\3\2\1", 10};
    add_page(b, FIRST, 3, 0, 0, &other, 1, 0);
    add_page(b, FIRST, 7, 0, 0, &v.head, 1, 0);
    add_page(b, 0, 3, 1, 0, &other, 1, 0);
    add_page(b, 0, 7, 1, 0, &v.tags, 1, 0);
    for (int page = 0; page < pages_of(&usual); page++) {
        add_page(b, 0, 3, (uint32_t)page + 2, page, &other, 1, 0);
        add_sound(b, &v, &usual, page);
    }
    add_page(b, LAST, 3, 99, 9, &other, 1, 0);
}

static void an_empty_link_before(blob *b) {
    const paging other = {.on_each = 5, .serial = 99};
    add_headers(b, &v, &other);
    add_headers(b, &v, &usual);
    add_all_sound(b, &usual);
}

static void odd_files_have_all_their_sound(void **state) {
    (void)state;
    static const struct {
        const char *name;
        void (*make)(blob *b);
    } cases[] = {
        {"short tags", short_tags},
        {"no tags", no_tags},
        {"lost tags", lost_tags},
        {"damaged tags", damaged_tags},
        {"headers twice", headers_twice},
        {"head twice", head_twice},
        {"tags twice", tags_twice},
        {"headers on one page", headers_on_one_page},
        {"head not marked as first", head_not_marked_as_first},
        {"every page marked as first", every_page_marked_as_first},
        {"tags with a picture", tags_with_a_picture},
        {"tags with a large picture", tags_with_a_large_picture},
        {"long head", long_head},
        {"family 1", family_1},
        {"family 1, stereo", family_1_stereo},
        {"family 255", family_255},
        {"family 255, ten channels", family_255_of_ten},
        {"unknown family", family_unknown},
        {"family 2", family_2},
        {"family 3", family_3},
        {"CR LF before", crlf_before},
        {"ID3 before", id3_before},
        {"two ID3 tags and CR LF before", two_tags_and_crlf_before},
        {"noise before", noise_before},
        {"junk between pages", junk_between_pages},
        {"tag behind", tag_behind},
        {"pages without numbers", pages_unnumbered},
        {"granules that begin late", granules_that_begin_late},
        {"granules that begin early", granules_that_begin_early},
        {"another mono stream", another_mono_stream},
        {"a stream of another codec", stream_of_another_codec},
        {"an empty link before", an_empty_link_before},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        blob b = {0};
        cases[k].make(&b);
        decoded d = decode(b.data, b.n, NULL, 4096);
        double most = d.code ? 0 : worst(d.got.pcm, v.pcm.pcm, VOICE_SAMPLES);
        if (d.code || strcmp(d.format, "ogg/opus") != 0 || d.got.n != VOICE_SAMPLES ||
            d.truncated || d.gaps.count || most > 2.0 / 32768)
            fail_msg("%s: code %d (%s), %zu samples, truncated %d, %d gaps, off by %g",
                     cases[k].name, d.code, d.err.text, d.got.n, d.truncated, (int)d.gaps.count,
                     most);
        free(d.got.pcm);
        free(b.data);
    }
}

/* Two notes of WhatsApp's in one file: both have the serial 0, and neither is marked at its end. */
static void links_of_one_serial_are_read_through(void **state) {
    (void)state;
    const paging how = {.on_each = 10, .no_end = 1};
    blob one = voice_file(&v, &how), b = {0};
    add_bytes(&b, one.data, one.n);
    add_bytes(&b, one.data, one.n);
    decoded d = decode(b.data, b.n, NULL, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.truncated, 0);
    assert_int_equal(d.gaps.count, 0);
    assert_int_equal(d.got.n, 2 * VOICE_UNCUT);
    assert_memory_equal(d.got.pcm, v.pcm.pcm, (VOICE_SAMPLES - 20) * sizeof(float));
    assert_true(worst(d.got.pcm + VOICE_UNCUT + 20, v.pcm.pcm + 20, VOICE_SAMPLES - 40) <
                2.0 / 32768);
    free(d.got.pcm);
    free(one.data);
    free(b.data);
}

/* The mark of the last page: missing is a remark, but not for a writer that never sets it. */
static void a_missing_mark_of_the_end(void **state) {
    (void)state;
    static const char whatsapp[] = "OpusTags\10\0\0\0WhatsApp\0\0\0\0";
    const paging cases[] = {{.on_each = 5, .serial = 7, .no_end = 1},
                            {.on_each = 5, .serial = 0, .no_end = 1},
                            {.on_each = 5, .serial = 7, .no_end = 1}};
    for (size_t k = 0; k < 3; k++) {
        packet was = v.tags;
        if (k == 2)
            v.tags = (packet){whatsapp, sizeof whatsapp - 1};
        blob b = voice_file(&v, &cases[k]);
        v.tags = was;
        decoded d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.got.n, VOICE_UNCUT);
        assert_int_equal(d.truncated, k == 0);
        free(d.got.pcm);
        free(b.data);
    }
}

static void heads_that_cannot_be_used(void **state) {
    (void)state;
    static const struct {
        uint8_t channels, version;
        const char *mapping;
        size_t n;
        const char *says;
    } cases[] = {
        {1, 0x10, "\0", 1, "version"},
        {0, 1, "\0", 1, "no channels"},
        {3, 1, "\0", 1, "too many channels"},
        {1, 1, "", 0, "too short"},
        {1, 1, "\1\1", 2, "ends within"},
        {1, 1, "\1\1\0", 3, "ends within"},
        {1, 1, "\1\0\0\0", 4, "number of streams"},
        {1, 1, "\1\1\2\0", 4, "number of streams"},
        {1, 1, "\1\101\0\0", 4, "more streams"},
        {65, 1, "\1\1\0\0", 4, "more channels"},
        {1, 1, "\1\1\0\1", 4, "stream that there is not"},
        {1, 1, "\3\1\0\0", 4, "ends within"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        uint8_t head[64];
        blob b = {0};
        memcpy(head, v.head.data, 18);
        head[8] = cases[k].version;
        head[9] = cases[k].channels;
        memcpy(head + 18, cases[k].mapping, cases[k].n);
        with_head(&b, head, 18 + cases[k].n);
        decoded d = decode(b.data, b.n, NULL, 4096);
        if (d.code != CARA_ERR_AUDIO_CORRUPT || !strstr(d.err.text, cases[k].says))
            fail_msg("case %zu: code %d, %s", k, d.code, d.err.text);
        /* A link that can be used is enough. */
        add_headers(&b, &v, &usual);
        add_all_sound(&b, &usual);
        d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.got.n, VOICE_SAMPLES);
        free(d.got.pcm);
        free(b.data);
    }
}

static int countdown(void *cookie) {
    return --*(int *)cookie < 0;
}

/* Wherever it happens: while the first sound is searched, and later. */
static void reading_stops_on_request(void **state) {
    (void)state;
    blob b = voice_file(&v, &usual);
    int stopped_at[2] = {0}, n = 0;
    for (int after = 0;; after++) {
        cara_audio_options options;
        cara_audio_options_default(&options, sizeof options);
        int left = after;
        options.stop = countdown;
        options.stop_cookie = &left;
        cara_audio *audio;
        cara_error err;
        float block[512];
        int64_t got = cara_audio_open_memory(b.data, b.n, &options, &audio, &err);
        int opened = got == 0;
        cara_pcm_source source = cara_audio_source(audio);
        while (opened && (got = source.read(source.ctx, block, 512, &err)) > 0)
            ;
        cara_audio_close(audio);
        if (got == 0)
            break;
        assert_int_equal(got, CARA_ERR_CANCELLED);
        stopped_at[opened]++;
        assert_true(n++ < 1000);
    }
    assert_true(stopped_at[0] >= 3);
    assert_true(stopped_at[1] >= VOICE_PACKETS);
    free(b.data);
}

/* A file in which a page of 50 kB seems to begin every 27 bytes: 2000 times the file's bytes. */
static void damage_does_not_take_minutes(void **state) {
    (void)state;
    uint8_t page[27] = "OggS";
    memset(page + 6, 0xFF, 21);
    blob b = {0};
    add_headers(&b, &v, &usual);
    add_sound(&b, &v, &usual, 0);
    const size_t n = (size_t)4 << 20;
    uint8_t *many = malloc(n);
    assert_non_null(many);
    for (size_t i = 0; i < n; i++)
        many[i] = page[i % 27];
    add_bytes(&b, many, n);
    free(many);
    clock_t start = clock();
    decoded d = decode(b.data, b.n, NULL, 4096);
    double took = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("%.2f s\n", took);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.truncated, 1);
    assert_int_equal(d.got.n, (5 * VOICE_PACKET - 312) / 3);
    assert_true(took < 1.5);
    free(d.got.pcm);
    free(b.data);
}

/* Each link costs as many decoders as it has streams, and may have no sound. */
static void chains_of_too_many_decoders_are_refused(void **state) {
    (void)state;
    const int links = 10000 / 64 + 1;
    uint8_t head[21 + 64], sound[64 * 2 - 1];
    memcpy(head, v.head.data, 18);
    head[9] = 64;
    head[10] = head[11] = 255; /* all is pre-skip */
    memcpy(head + 18, "\377\100", 3);
    for (int i = 0; i < 64; i++) { /* of each stream a packet of 60 ms without a byte of sound */
        head[21 + i] = (uint8_t)i;
        sound[2 * i] = 0x18;
        if (i < 63)
            sound[2 * i + 1] = 0;
    }
    const packet first = {head, sizeof head}, second = {sound, sizeof sound};
    blob b = {0};
    size_t last = 0;
    for (int i = 0; i < links; i++) {
        last = b.n;
        add_page(&b, FIRST, 7, 0, 0, &first, 1, 0);
        add_page(&b, LAST, 7, 1, VOICE_PACKET, &second, 1, 0);
    }
    for (int fewer = 0; fewer < 2; fewer++) {
        decoded d = decode(b.data, fewer ? last : b.n, NULL, 4096);
        assert_int_equal(d.code, fewer ? CARA_OK : CARA_ERR_AUDIO_LIMIT);
        assert_int_equal(d.got.n, 0);
        free(d.got.pcm);
    }
    free(b.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_files_have_all_their_sound),
        cmocka_unit_test(links_of_one_serial_are_read_through),
        cmocka_unit_test(a_missing_mark_of_the_end),
        cmocka_unit_test(heads_that_cannot_be_used),
        cmocka_unit_test(reading_stops_on_request),
        cmocka_unit_test(damage_does_not_take_minutes),
        cmocka_unit_test(chains_of_too_many_decoders_are_refused),
    };
    return cmocka_run_group_tests(tests, open_voice, close_voice);
}
