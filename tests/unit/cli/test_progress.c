#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/progress.h"
#include "cli/shown.h"

#include <string.h>

static const char *line_of(const cara_cli_progress *now, double elapsed_s, int columns) {
    static char line[2048];
    cara_cli_progress_line(now, elapsed_s, 0, columns, line, sizeof line);
    return line;
}

static void all_that_is_known(void **state) {
    const cara_cli_progress now = {.label = "note.ogg",
                                   .item = 3,
                                   .items = 10,
                                   .part = 0.25,
                                   .audio_s = 65,
                                   .audio_total_s = 260};
    assert_string_equal(line_of(&now, 31, 120),
                        "|  note.ogg  3 of 10  [######..................]  25%  "
                        "audio 1:05 of 4:20  0:31 elapsed  2.1x  1:33 left");
    /* What matters least goes first. */
    assert_string_equal(line_of(&now, 31, 80),
                        "|  note.ogg  3 of 10  25%  audio 1:05 of 4:20  0:31 elapsed  2.1x  "
                        "1:33 left");
    assert_string_equal(line_of(&now, 31, 60), "|  note.ogg  3 of 10  25%  0:31 elapsed  2.1x  "
                                               "1:33 left");
    assert_string_equal(line_of(&now, 31, 40), "|  note.ogg  3 of 10  25%  0:31 elapsed");
    assert_string_equal(line_of(&now, 31, 20), "25%  0:31 elapsed");
    assert_string_equal(line_of(&now, 31, 13), "0:31 elapsed");
    assert_string_equal(line_of(&now, 31, 4), "25%");
    assert_string_equal(line_of(&now, 31, 2), "|");
    assert_string_equal(line_of(&now, 31, 1), "");
}

static void what_is_not_known_is_left_out(void **state) {
    cara_cli_progress now = {.label = "opening the model", .part = -1, .audio_s = -1};
    assert_string_equal(line_of(&now, 3.6, 80), "|  opening the model  0:04 elapsed");
    now.part = 0.5;
    now.items = 1; /* one file is not counted */
    assert_string_equal(line_of(&now, 4000, 80),
                        "|  opening the model  [##########.........]  50%  1:06:40 elapsed  "
                        "1:06:40 left");
    now = (cara_cli_progress){.label = "a", .part = 0, .audio_s = 0, .audio_total_s = 5000};
    assert_string_equal(
        line_of(&now, 5, 80),
        "|  a  [........................]  0%  audio 0:00 of 1:23:20  0:05 elapsed");
    now.part = 1;
    now.audio_s = 5000;
    assert_string_equal(line_of(&now, 5, 80), "|  a  [##################]  100%  audio "
                                              "1:23:20 of 1:23:20  0:05 elapsed  1000x");
}

static void fits_at_any_width(void **state) {
    static const char *const labels[] = {
        "n.ogg",
        "a long name of a voice note that somebody recorded on the way to the harbour today.ogg",
        "\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0.ogg",
        "e\xcc\x81\xcc\x81\xcc\x81l.ogg",
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7\xe2\x9d\xa4\xef\xb8\x8f.ogg",
        "a\x1b]0;x\x07\nb\302\23331m\xff.ogg",
        "",
    };
    const cara_cli_progress states[] = {
        {.part = -1, .audio_s = -1},
        {.item = 3, .items = 10000, .part = 0.5, .audio_s = 1e6, .audio_total_s = 2e6},
        {.item = 3, .items = 10, .part = 0.999, .audio_s = 1e12, .audio_total_s = -1},
        {.part = 2, .audio_s = 0},
    };
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        for (size_t j = 0; j < sizeof states / sizeof *states; j++)
            for (int columns = 1; columns <= 500; columns++) {
                cara_cli_progress now = states[j];
                char again[2048];
                memcpy(now.label, labels[i], strlen(labels[i]) + 1);
                const char *line = line_of(&now, 7.5, columns);
                /* One column stays free; nothing in it is replaced once more. */
                assert_true(cara_cli_shown(line, again, sizeof again) <= columns - 1);
                assert_string_equal(line, again);
                assert_true(columns < 14 || strstr(line, "elapsed"));
                assert_true(columns < 60 || !*now.label || strstr(line, "ogg"));
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_known),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(fits_at_any_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
