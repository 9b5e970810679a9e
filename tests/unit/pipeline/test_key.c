#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static void senders(void **state) {
    static const char *const cases[][2] = {
        {"525550100150", "525550100150"},
        {"+16505551234", "16505551234"},
        {"+1 (650) 555-1234", "16505551234"},
        {"", "0"},
        {NULL, "0"},
        {"0", "0"},
        {"None", "0"},
        {"../../etc/passwd", "0"},
        {"52/55", "0"},
        {"52\\55", "0"},
        {"12345x", "0"},
        {"1+2", "0"},
        {"++1", "1"},
        {"-", "0"},
        {"12\n34", "0"},
        {"\xD9\xA1\xD9\xA2", "0"}, /* Arabic digits */
        {"12345678901234567890123456789012", "12345678901234567890123456789012"},
        {"123456789012345678901234567890123", "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[33];
        cara_key_sender(cases[i][0], out);
        assert_string_equal(out, cases[i][1]);
    }
}

/* Expected values are Python's hashlib and datetime. */
static void message_keys(void **state) {
    static const struct {
        const char *id, *from;
        int64_t t;
        const char *key;
    } cases[] = {
        {"wamid.HQYYDDUyNTU1MDEwMDE1MBUCABIYFFRFWFQwMDAxMDAwMDAwMDAwMDAwAA==", "525550100150",
         1760490612, "2025-10-15/525550100150-01-10-12-u5zQ3HfPHZ0.json"},
        {"wamid.HQYYDDUyNTU1MDEwMDE1MBUCABIYFFZPSUNFMDAxMDAwMDAwMDAwMDAwAA==", "525550100150",
         1760490612, "2025-10-15/525550100150-01-10-12-v0_7DB1kZmz.json"},
        {"ABGGFlA5Fpa", "+16505551234", 0, "1970-01-01/16505551234-00-00-00-jzWYMlIG13i.json"},
        {"wamid.X", "", 253402128000, "9999-12-30/0-00-00-00-5Ib-xlnmnDA.json"},
        {"a/b/../c", "x", 1709251199, "2024-02-29/0-23-59-59-9cmlgf_cV-4.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key[CARA_KEY_SIZE];
        assert_int_equal(cara_key_message(cases[i].id, cases[i].from, cases[i].t, NULL, key), 0);
        assert_string_equal(key, cases[i].key);
        assert_true(cara_store_key_is_valid(key));
    }
}

static int no_time(int64_t t, struct tm *out) {
    return -1;
}

static int far_year(int64_t t, struct tm *out) {
    *out = (struct tm){.tm_year = 8100, .tm_mday = 1};
    return 0;
}

static void times_without_a_date_have_no_key(void **state) {
    char key[CARA_KEY_SIZE];
    assert_int_equal(cara_key_message("a", "1", 5, no_time, key), -1);
    assert_int_equal(cara_key_message("a", "1", 5, far_year, key), -1);
}

static void media_names(void **state) {
    static const char *const mimes[][2] = {
        {"audio/ogg; codecs=opus", "ogg"},
        {"audio/ogg", "ogg"},
        {"AUDIO/OGG;x", "ogg"},
        {"audio/mpeg", "mp3"},
        {"audio/mp4", "m4a"},
        {"audio/amr", "amr"},
        {"audio/aac", "aac"},
        {"audio/x/../y", "bin"},
        {"audio/", "bin"},
        {"", "bin"},
        {NULL, "bin"},
        {"ogg", "bin"},
        {"audio/opus", "opus"},
        {"audio/verylongsubtype", "bin"},
        {"audio/12345678", "12345678"},
        {"audio/123456789", "bin"},
        {"audio/x-wav", "bin"},
    };
    char ext[CARA_MEDIA_EXT], key[CARA_KEY_SIZE];
    for (size_t i = 0; i < sizeof mimes / sizeof *mimes; i++) {
        cara_media_ext_of_mime(mimes[i][0], ext);
        assert_string_equal(ext, mimes[i][1]);
    }
    assert_int_equal(cara_media_ext_clean("MP3", ext), 0);
    assert_string_equal(ext, "mp3");
    assert_int_equal(cara_media_ext_clean("", ext), -1);
    assert_int_equal(cara_media_ext_clean("a.b", ext), -1);
    assert_int_equal(cara_media_ext_clean("123456789", ext), -1);
    assert_int_equal(cara_key_media("2025-10-15/1-2.json", "1908", "ogg", key), 0);
    assert_string_equal(key, "2025-10-15/1908.ogg");
    static const char *const bad[] = {"", "a/b", "..", "a.b", "a b", "a-b", "\xC3\xB1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(cara_key_media("2025-10-15/1-2.json", bad[i], "ogg", key), -1);
    char longest[CARA_MEDIA_ID_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_false(cara_media_id_is_valid(longest));
    longest[CARA_MEDIA_ID_MAX] = 0;
    assert_true(cara_media_id_is_valid(longest));
    assert_int_equal(cara_key_media("2025-10-15/1-2.json", longest, "12345678", key), 0);
    assert_true(cara_store_key_is_valid(key));
}

static void media_folder(void **state) {
    fixture *f = *state;
    cara_media media = cara_media_folder(f->media_path);
    static const struct {
        const char *id, *mime, *ext; /* NULL: not found */
    } cases[] = {
        {"100", "audio/ogg", "ogg"}, {"100", "audio/mpeg", "mp3"}, {"100", "audio/amr", "mp3"},
        {"10", "audio/ogg", NULL},   {"200", "audio/ogg", ""},     {"300", "audio/mpeg", "mpeg"},
        {"400", "audio/ogg", NULL},  {"500", "audio/ogg", NULL},   {"600", NULL, "ogg"},
    };
    fixture_media(f, "100.ogg", "o", 1);
    fixture_media(f, "100.mp3", "m", 1);
    fixture_media(f, "200", "bare", 4);
    fixture_media(f, "300.mpeg", "", 0);
    fixture_media(f, "400.ogg.part", "p", 1);
    fixture_media(f, "5000.ogg", "p", 1);
    fixture_media(f, "600.OGG", "p", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_media_request request = {
            .media_id = cases[i].id, .mime_type = cases[i].mime, .record_key = "2025-10-15/1"};
        cara_media_file file = {0};
        cara_error err = {0};
        int rc = media.fetch(media.ctx, &request, &file, &err);
        assert_int_equal(rc, cases[i].ext ? CARA_OK : CARA_ERR_NOT_FOUND);
        if (!rc)
            assert_string_equal(file.ext, cases[i].ext);
        assert_string_equal(file.stored, "");
        free(file.bytes);
    }
    cara_media none = cara_media_none();
    cara_media_file file = {0};
    cara_error err = {0};
    assert_int_equal(none.fetch(none.ctx, &(cara_media_request){.media_id = "1"}, &file, &err),
                     CARA_ERR_NOT_FOUND);
}

/* The transcriber gets the ending of the file, else one made of the media type: sound without a
 * header is known by nothing else. */
static void the_transcriber_is_told_the_ending(void **state) {
    static const struct {
        const char *file, *mime_type, *ext;
    } cases[] = {
        {"1.ulaw", "audio/ogg", "ulaw"},
        {"2", "audio/basic", "basic"},
        {"3.SLN16", "audio/x-unknown", "sln16"},
        {"4", "audio/ogg; codecs=opus", "ogg"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[256];
        fixture_media(f, cases[i].file, "sound", 5);
        snprintf(message, sizeof message,
                 "{\"id\":\"w%zu\",\"from\":\"1\",\"timestamp\":\"5\",\"type\":\"audio\","
                 "\"audio\":{\"id\":\"%c\",\"mime_type\":\"%s\"}}",
                 i, cases[i].file[0], cases[i].mime_type);
        fixture_message(f, message);
        assert_int_equal(f->last_outcome, CARA_OUTCOME_DONE);
        assert_string_equal(f->last_ext, cases[i].ext);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(senders),
        cmocka_unit_test(message_keys),
        cmocka_unit_test(times_without_a_date_have_no_key),
        cmocka_unit_test(media_names),
        cmocka_unit_test_setup_teardown(media_folder, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_transcriber_is_told_the_ending, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
