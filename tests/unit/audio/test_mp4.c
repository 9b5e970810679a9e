/* What the index of an MP4 file may claim. */
#include "audio_test.h"

#include "audio/mp4.h"

#define MOST 8192

/* A file that is being written: boxes begun are closed by end(). */
typedef struct writer {
    uint8_t bytes[MOST];
    size_t n, open[16], depth;
} writer;

static void u32(writer *w, uint32_t x) {
    assert_true(w->n + 4 <= MOST);
    for (int shift = 24; shift >= 0; shift -= 8)
        w->bytes[w->n++] = (uint8_t)(x >> shift);
}

static void begin(writer *w, const char *type) {
    w->open[w->depth++] = w->n;
    u32(w, 0);
    memcpy(w->bytes + w->n, type, 4);
    w->n += 4;
}

static void end(writer *w) {
    size_t at = w->open[--w->depth], was = w->n;
    w->n = at;
    u32(w, (uint32_t)(was - at));
    w->n = was;
}

/* A whole box of 32-bit numbers. */
static void numbers(writer *w, const char *type, size_t n, const uint32_t *values) {
    begin(w, type);
    for (size_t i = 0; i < n; i++)
        u32(w, values[i]);
    end(w);
}
#define NUMBERS(w, type, ...)                                                                      \
    numbers(w, type, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})

static uint32_t type_of(const char *type) {
    return (uint32_t)type[0] << 24 | (uint32_t)type[1] << 16 | (uint32_t)type[2] << 8 |
           (uint32_t)type[3];
}

typedef struct claims {
    const char *handler;
    uint32_t samples, size; /* of each; 0: a table of `listed` sizes of 10 bytes follows */
    uint32_t listed;
    uint32_t per_chunk, chunks;   /* all at offset 28 */
    uint32_t listed_chunks;       /* 0: as many */
    uint32_t durations, duration; /* rows of that table, and of each */
} claims;

static void add_track(writer *w, uint32_t id, const claims *c) {
    begin(w, "trak");
    NUMBERS(w, "tkhd", 7, 0, 0, id, 0, 0);
    begin(w, "mdia");
    NUMBERS(w, "hdlr", 0, 0, type_of(c->handler), 0, 0);
    begin(w, "minf");
    begin(w, "stbl");
    begin(w, "stts");
    u32(w, 0);
    u32(w, c->durations);
    u32(w, c->samples);
    u32(w, c->duration);
    end(w);
    NUMBERS(w, "stsc", 0, 1, 1, c->per_chunk, 1);
    begin(w, "stsz");
    u32(w, 0);
    u32(w, c->size);
    u32(w, c->samples);
    for (uint32_t i = 0; i < c->listed; i++)
        u32(w, 10);
    end(w);
    begin(w, "stco");
    u32(w, 0);
    u32(w, c->listed_chunks ? c->listed_chunks : c->chunks);
    for (uint32_t i = 0; i < c->chunks; i++)
        u32(w, 28);
    end(w);
    end(w);
    end(w);
    end(w);
    end(w);
}

/* A track with an edit list, and all its tables in a box called `around`. */
static void add_edited_track(writer *w, const char *around, uint32_t n, uint32_t edits) {
    begin(w, "trak");
    NUMBERS(w, "tkhd", 7, 0, 0, 1, 0, 0);
    begin(w, "mdia");
    NUMBERS(w, "hdlr", 0, 0, type_of("soun"), 0, 0);
    begin(w, around);
    NUMBERS(w, "stts", 0, 1, n, 1024);
    NUMBERS(w, "stsc", 0, 1, 1, n, 1);
    NUMBERS(w, "stsz", 0, 1, n);
    NUMBERS(w, "stco", 0, 1, 28);
    begin(w, "elst");
    u32(w, 0);
    u32(w, edits);
    for (uint32_t i = 0; i < 3 * edits; i++)
        u32(w, 0);
    end(w);
    end(w);
    end(w);
    end(w);
}

static void begin_file(writer *w) {
    *w = (writer){.n = 0};
    NUMBERS(w, "ftyp", type_of("M4A "), 0, type_of("isom"));
    begin(w, "mdat");
    for (int i = 0; i < 256; i++)
        u32(w, 0);
    end(w);
}

static int check(const writer *w, cara_mp4 *mp4, cara_error *err) {
    /* Exactly so many bytes, for the sanitizers. */
    uint8_t *copy = malloc(w->n);
    assert_non_null(copy);
    memcpy(copy, w->bytes, w->n);
    int rc = cara_mp4_check(cara_slice_of(copy, w->n), (cara_stop){NULL, NULL}, mp4, err);
    free(copy);
    return rc;
}

static void claims_are_weighed(void **state) {
    (void)state;
    static const struct {
        const char *what;
        claims c;
        int code;
        const char *says;
    } cases[] = {
        {"plain", {"soun", 100, 10, 0, 100, 1, 0, 1, 1024}, 0, ""},
        {"a table of sizes", {"soun", 20, 0, 20, 20, 1, 0, 1, 1024}, 0, ""},
        /* The rest was not downloaded. */
        {"cut", {"soun", 1000000, 10, 0, 1000000, 1, 0, 1, 1024}, 0, ""},
        {"an hour of PCM", {"soun", 3600U * 48000, 2, 0, 3600U * 48000, 1, 0, 1, 1}, 0, ""},
        {"video is not looked at", {"vide", 4000000000U, 1, 0, 1, 1, 0, 1, 1024}, 0, ""},
        {"many samples",
         {"soun", 10000001, 1, 0, 1, 1, 0, 1, 1024},
         CARA_ERR_AUDIO_LIMIT,
         "more than 10000000 samples"},
        {"many chunks of PCM",
         {"soun", 1, 1, 0, 4000000000U, 4, 0, 1, 1},
         CARA_ERR_AUDIO_LIMIT,
         "more than 10000000 samples"},
        {"sizes beyond the end",
         {"soun", 2000, 0, 3, 20, 1, 0, 1, 1024},
         CARA_ERR_AUDIO_CORRUPT,
         "2000 sizes of samples"},
        {"durations beyond the end",
         {"soun", 10, 10, 0, 10, 1, 0, 0x7FFFFFFF, 1024},
         CARA_ERR_AUDIO_CORRUPT,
         "2147483647 durations"},
        {"chunks beyond the end",
         {"soun", 10, 10, 0, 10, 1, 1000000, 1, 1024},
         CARA_ERR_AUDIO_CORRUPT,
         "1000000 places of chunks"},
        {"the same bytes again",
         {"soun", 100000, 1000, 0, 1000, 100, 0, 1, 1024},
         CARA_ERR_AUDIO_CORRUPT,
         "again and again"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        writer w;
        cara_mp4 mp4;
        cara_error err = {0};
        begin_file(&w);
        begin(&w, "moov");
        add_track(&w, 1, &cases[k].c);
        end(&w);
        int rc = check(&w, &mp4, &err);
        if (rc != cases[k].code || (rc && !strstr(err.text, cases[k].says)))
            fail_msg("%s: code %d, \"%s\"", cases[k].what, rc, err.text);
        assert_int_equal(mp4.n_hidden, strcmp(cases[k].c.handler, "vide") == 0);
    }
}

static void video_is_hidden_and_sound_is_not(void **state) {
    (void)state;
    static const claims sound = {"soun", 10, 10, 0, 10, 1, 0, 1, 1024},
                        video = {"vide", 10, 10, 0, 10, 1, 0, 1, 1024},
                        text = {"text", 10, 10, 0, 10, 1, 0, 1, 1024},
                        other = {"xyz ", 10, 10, 0, 10, 1, 0, 1, 1024};
    const claims *const tracks[] = {&video, &sound, &text, &other};
    writer w;
    cara_mp4 mp4;
    cara_error err = {0};
    begin_file(&w);
    begin(&w, "moov");
    for (uint32_t i = 0; i < 4; i++)
        add_track(&w, i + 1, tracks[i]);
    end(&w);
    assert_int_equal(check(&w, &mp4, &err), CARA_OK);
    assert_int_equal(mp4.n_hidden, 2);
    assert_true(mp4.hidden[0] < mp4.hidden[1]);
    for (size_t i = 0; i < 2; i++)
        assert_memory_equal(w.bytes + mp4.hidden[i], "trak", 4);
}

static void fragments_are_weighed(void **state) {
    (void)state;
    static const struct {
        uint32_t samples, default_size, track;
        int code;
        const char *says;
    } cases[] = {
        {10, 100, 1, 0, ""},
        {0, 0, 1, 0, ""},
        {4000000000U, 1, 2, 0, ""}, /* of the video */
        {4000000000U, 1, 1, CARA_ERR_AUDIO_LIMIT, "samples in its fragments"},
        {5000000, 300, 1, CARA_ERR_AUDIO_CORRUPT, "more sound than the file can hold"},
    };
    static const claims sound = {"soun", 0, 0, 0, 0, 0, 0, 0, 0},
                        video = {"vide", 0, 0, 0, 0, 0, 0, 0, 0};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        writer w;
        cara_mp4 mp4;
        cara_error err = {0};
        begin_file(&w);
        begin(&w, "moov");
        add_track(&w, 1, &sound);
        add_track(&w, 2, &video);
        begin(&w, "mvex");
        for (uint32_t id = 1; id <= 2; id++)
            NUMBERS(&w, "trex", 0, id, 1, 1024, cases[k].default_size, 0);
        end(&w);
        end(&w);
        begin(&w, "moof");
        begin(&w, "traf");
        NUMBERS(&w, "tfhd", 0x20000, cases[k].track);
        NUMBERS(&w, "trun", 1, cases[k].samples, 0);
        end(&w);
        end(&w);
        int rc = check(&w, &mp4, &err);
        if (rc != cases[k].code || (rc && !strstr(err.text, cases[k].says)))
            fail_msg("case %zu: code %d, \"%s\"", k, rc, err.text);
    }
}

/* libav finds the tables in some boxes that should not hold any, and takes other boxes for the
 * index. */
static void tables_are_weighed_wherever_they_are(void **state) {
    (void)state;
    static const struct {
        const char *index, *around;
        uint32_t samples, edits;
        int code;
        const char *says;
    } cases[] = {
        {"moov", "stbl", 1000, 100, 0, ""},
        {"moov", "stbl", 4000000, 12, 0, ""}, /* 24 hours */
        {"moov", "stbl", 1000000, 51, CARA_ERR_AUDIO_CORRUPT, "edit list"},
        {"moov", "dinf", 1000000, 51, CARA_ERR_AUDIO_CORRUPT, "edit list"},
        {"moov", "udta", 1000000, 51, CARA_ERR_AUDIO_CORRUPT, "edit list"},
        {"moov", "wave", 1000000, 51, CARA_ERR_AUDIO_CORRUPT, "edit list"},
        {"moov", "stsd", 1000000, 51, CARA_ERR_AUDIO_CORRUPT, "wrong place"},
        {"moov", "abcd", 1, 1, CARA_ERR_AUDIO_CORRUPT, "wrong place"},
        {"hoov", "stbl", 1000000, 51, CARA_ERR_AUDIO_CORRUPT, "edit list"},
        {"free", "stbl", 1000000, 51, CARA_ERR_AUDIO_CORRUPT, "edit list"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        writer w;
        cara_mp4 mp4;
        cara_error err = {0};
        begin_file(&w);
        begin(&w, cases[k].index);
        NUMBERS(&w, "mvhd", 0);
        add_edited_track(&w, cases[k].around, cases[k].samples, cases[k].edits);
        end(&w);
        int rc = check(&w, &mp4, &err);
        if (rc != cases[k].code || (rc && !strstr(err.text, cases[k].says)))
            fail_msg("%s, %s, %u edits: code %d, \"%s\"", cases[k].index, cases[k].around,
                     cases[k].edits, rc, err.text);
    }
}

/* The limit is for all tracks together. */
static void edits_of_all_tracks_are_added_up(void **state) {
    (void)state;
    writer w;
    cara_mp4 mp4;
    cara_error err = {0};
    begin_file(&w);
    begin(&w, "moov");
    for (int i = 0; i < 3; i++)
        add_edited_track(&w, "stbl", 1000000, 20);
    end(&w);
    assert_int_equal(check(&w, &mp4, &err), CARA_ERR_AUDIO_CORRUPT);
    assert_non_null(strstr(err.text, "edit list"));
}

static void an_index_that_hides_its_claims_is_refused(void **state) {
    (void)state;
    writer w;
    cara_mp4 mp4;
    cara_error err = {0};
    begin_file(&w);
    begin(&w, "moov");
    NUMBERS(&w, "cmov", 0);
    end(&w);
    assert_int_equal(check(&w, &mp4, &err), CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(err.text, "compressed"));
    begin_file(&w);
    begin(&w, "moov");
    begin(&w, "trak");
    NUMBERS(&w, "stsd", 0, type_of("cmov"));
    end(&w);
    end(&w);
    assert_int_equal(check(&w, &mp4, &err), CARA_ERR_AUDIO_CORRUPT);
    assert_non_null(strstr(err.text, "another index"));
    /* QuickTime's "meta" has no version before its boxes; either way they are found. */
    for (int version = 0; version < 2; version++) {
        begin_file(&w);
        begin(&w, "meta");
        if (version)
            u32(&w, 0);
        NUMBERS(&w, "hdlr", 0);
        NUMBERS(&w, "cmov", 0);
        end(&w);
        assert_int_equal(check(&w, &mp4, &err), CARA_ERR_AUDIO_FORMAT);
    }
}

static void many_tracks_are_refused(void **state) {
    (void)state;
    writer w;
    cara_mp4 mp4;
    cara_error err = {0};
    begin_file(&w);
    begin(&w, "moov");
    for (int i = 0; i <= CARA_MP4_TRACKS; i++)
        NUMBERS(&w, "trak", 0);
    end(&w);
    assert_int_equal(check(&w, &mp4, &err), CARA_ERR_AUDIO_LIMIT);
    assert_non_null(strstr(err.text, "more than 256 tracks"));
}

static int stop_at_once(void *cookie) {
    (*(int *)cookie)++;
    return 1;
}

/* A table that is all in the file can be long. */
static void a_long_table_can_be_stopped(void **state) {
    (void)state;
    enum { ROWS = 100000 };
    static const claims c = {"soun", ROWS, 1, 0, 1, 1, ROWS, 1, 1024};
    writer w;
    cara_mp4 mp4;
    cara_error err = {0};
    begin_file(&w);
    begin(&w, "moov");
    add_track(&w, 1, &c);
    end(&w);
    uint8_t *bytes = calloc(1, w.n + 4 * ROWS);
    assert_non_null(bytes);
    memcpy(bytes, w.bytes, w.n);
    int asked = 0;
    assert_int_equal(cara_mp4_check(cara_slice_of(bytes, w.n + 4 * ROWS),
                                    (cara_stop){stop_at_once, &asked}, &mp4, &err),
                     CARA_ERR_CANCELLED);
    assert_int_equal(asked, 1);
    free(bytes);
}

/* Whatever the numbers are, nothing outside the bytes is read. */
static void damaged_files_are_read_within_their_bytes(void **state) {
    (void)state;
    static const claims sound = {"soun", 20, 0, 20, 5, 4, 0, 1, 1024},
                        video = {"vide", 10, 10, 0, 10, 1, 0, 1, 1024};
    writer w;
    cara_mp4 mp4;
    cara_error err = {0};
    begin_file(&w);
    begin(&w, "moov");
    add_track(&w, 1, &sound);
    add_track(&w, 2, &video);
    end(&w);
    size_t n = w.n;
    for (w.n = 1; w.n <= n; w.n++)
        (void)check(&w, &mp4, &err);
    w.n = n;
    for (size_t at = 1052; at < n; at++)
        for (int bit = 0; bit < 8; bit += 7) {
            w.bytes[at] ^= (uint8_t)(1 << bit);
            (void)check(&w, &mp4, &err);
            w.bytes[at] ^= (uint8_t)(1 << bit);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_weighed),
        cmocka_unit_test(video_is_hidden_and_sound_is_not),
        cmocka_unit_test(fragments_are_weighed),
        cmocka_unit_test(tables_are_weighed_wherever_they_are),
        cmocka_unit_test(edits_of_all_tracks_are_added_up),
        cmocka_unit_test(an_index_that_hides_its_claims_is_refused),
        cmocka_unit_test(many_tracks_are_refused),
        cmocka_unit_test(a_long_table_can_be_stopped),
        cmocka_unit_test(damaged_files_are_read_within_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
