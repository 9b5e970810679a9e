/* Which windows decide the language of cara_transcribe(), over a backend of handmade windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scripted_backend.h"

#include <math.h>

/* The first that is probable enough, else the one of most windows, of equals the first. */
static void more_windows_decide_the_language(void **state) {
    (void)state;
    static const struct {
        int segments;
        double threshold;
        int64_t frames;
        struct detected detected[3];
        size_t asked;
        const char *language;
        double probability;
    } cases[] = {
        {1, 0.5, 4999, {{"en", 0.6}}, 1, "en", 0.6},
        {1, 0.9, 4999, {{"en", 0.6}}, 1, "en", 0.6},
        {2, 0.7, 4999, {{"en", 0.6}, {"es", 0.8}}, 2, "es", 0.8},
        {2, 0.9, 4999, {{"en", 0.6}, {"es", 0.8}}, 2, "en", 0.6},
        {2, 0.9, 4999, {{"es", 0.6}, {"es", 0.8}}, 2, "es", 0.8},
        {9, 0.9, 4999, {{"es", 0.6}, {"en", 0.7}}, 2, "es", 0.6}, /* no third window */
        {9, 0.9, 3000, {{"es", 0.6}}, 1, "es", 0.6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const window_script script[] = {{{T(0), A, T(2998), T(2998), END}, -0.1, 0, 0},
                                               {{T(0), A, T(400), END}, -0.1, 0, 0}};
        fake f = {.script = script, .n_script = 2, .detected = cases[i].detected};
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.language_detection_segments = cases[i].segments;
        options.language_detection_threshold = cases[i].threshold;
        cara_result *r = NULL;
        assert_int_equal(transcribe_within(&f, &options, cases[i].frames, 1 << 20, &r), CARA_OK);
        assert_int_equal(f.languages, cases[i].asked);
        assert_string_equal(r->language, cases[i].language);
        assert_true(fabs(r->language_probability - cases[i].probability) < 1e-4);
        cara_result_free(r);
    }
}

/* Each window has its own, also where one was given; the result keeps the first. */
static void multilingual_audio_changes_its_language(void **state) {
    (void)state;
    static const window_script script[] = {{{T(0), A, T(2998), T(2998), END}, -0.1, 0, 0},
                                           {{T(0), A, T(400), END}, -0.1, 0, 0}};
    static const struct detected detected[] = {{"es", 0.9}, {"en", 0.8}, {"en", 0.8}};
    for (int given = 0; given < 2; given++) {
        fake f = {.script = script, .n_script = 2, .detected = detected + given};
        cara_options options;
        cara_options_default(&options, sizeof options);
        options.multilingual = 1;
        options.language = given ? "de" : NULL;
        cara_result *r = NULL;
        assert_int_equal(transcribe_within(&f, &options, 4999, 1 << 20, &r), CARA_OK);
        assert_int_equal(f.languages, given ? 2 : 3);
        assert_int_equal(f.n_decoded, 2);
        assert_int_equal(f.asked[0].language, SOT + 1 + cara_language_find("en"));
        assert_int_equal(f.asked[1].language, SOT + 1 + cara_language_find("en"));
        assert_string_equal(r->language, given ? "de" : "es");
        cara_result_free(r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_windows_decide_the_language),
        cmocka_unit_test(multilingual_audio_changes_its_language),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
