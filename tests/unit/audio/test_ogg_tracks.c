/* Several streams side by side in one Ogg file. */
#include "ogg_voice_test.h"

static const paging usual = {.on_each = 5, .serial = 7};

static void of_streams_side_by_side_that_with_most_channels(void **state) {
    (void)state;
    for (int first = 0; first < 2; first++) {
        blob b = {0};
        add_beside(&b, &v, &usual, 2, first);
        decoded d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.got.n, (3 * VOICE_PACKET - 312) / 3); /* packets 0, 4 and 8 */
        assert_memory_equal(d.got.pcm, v.pcm.pcm, 840 * sizeof(float));
        assert_int_equal(d.gaps.count, 0);
        free(d.got.pcm);
        free(b.data);
    }
}

static decoded decode_track(const blob *b, int track) {
    cara_audio_options options;
    cara_audio_options_default(&options, sizeof options);
    options.track = track;
    return decode(b->data, b->n, &options, 4096);
}

/* Counted from 1 in the options, and from 0 in the text. */
static void a_track_of_several_streams(void **state) {
    (void)state;
    blob b = {0};
    add_beside(&b, &v, &usual, 2, 1);
    static const size_t lengths[] = {(3 * VOICE_PACKET - 312) / 3, VOICE_SAMPLES};
    for (int track = 1; track <= 2; track++) {
        decoded d = decode_track(&b, track);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.got.n, lengths[track - 1]);
        assert_int_equal(d.gaps.count, 0);
        free(d.got.pcm);
    }
    decoded d = decode_track(&b, 3);
    assert_int_equal(d.code, CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(d.err.text, "no sound track 2: it has 2"));
    /* A lost page is a gap in the track that was asked for, too. */
    size_t at = page_at(&b, 8);
    b.data[at + 60] ^= 1;
    d = decode_track(&b, 2);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.got.n, VOICE_SAMPLES);
    assert_int_equal(d.gaps.count, 1);
    free(d.got.pcm);
    free(b.data);
    /* Video does not count. */
    const packet video = {"\200theora\3\2\1", 10};
    b = (blob){0};
    add_page(&b, FIRST, 3, 0, 0, &video, 1, 0);
    add_headers(&b, &v, &usual);
    add_sound(&b, &v, &usual, 0);
    d = decode_track(&b, 1);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.got.n, (5 * VOICE_PACKET - 312) / 3);
    free(d.got.pcm);
    free(b.data);
    /* A head that comes twice is of one track. */
    b = (blob){0};
    add_page(&b, FIRST, 7, 0, 0, &v.head, 1, 0);
    add_headers(&b, &v, &usual);
    add_sound(&b, &v, &usual, 0);
    d = decode_track(&b, 2);
    assert_int_equal(d.code, CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(d.err.text, "it has 1"));
    free(b.data);
}

/* The pages of two files, side by side. */
static void a_track_of_another_codec_is_for_libav(void **state) {
    (void)state;
    blob opus = voice_file(&v, &usual), vorbis = fixture("audio/vorbis.ogg"), b = {0};
    size_t opus_head = page_at(&opus, 1), vorbis_head = page_at(&vorbis, 1);
    add_bytes(&b, vorbis.data, vorbis_head);
    add_bytes(&b, opus.data, opus_head);
    add_bytes(&b, vorbis.data + vorbis_head, vorbis.n - vorbis_head);
    add_bytes(&b, opus.data + opus_head, opus.n - opus_head);
    decoded d = decode_track(&b, 2), alone = decode(vorbis.data, vorbis.n, NULL, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_string_equal(d.format, "ogg/opus");
    assert_int_equal(d.got.n, VOICE_SAMPLES);
    free(d.got.pcm);
    d = decode_track(&b, 1);
    assert_int_equal(d.code, alone.code);
    if (alone.code == CARA_OK) { /* else there is no libav */
        assert_int_equal(d.got.n, alone.got.n);
        assert_memory_equal(d.got.pcm, alone.got.pcm, alone.got.n * sizeof(float));
    }
    free(d.got.pcm);
    free(alone.got.pcm);
    free(opus.data);
    free(vorbis.data);
    free(b.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_streams_side_by_side_that_with_most_channels),
        cmocka_unit_test(a_track_of_several_streams),
        cmocka_unit_test(a_track_of_another_codec_is_for_libav),
    };
    return cmocka_run_group_tests(tests, open_voice, close_voice);
}
