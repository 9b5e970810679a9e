#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/shown.h"

#include <string.h>

static void columns_and_safety(void **state) {
    static const struct {
        const char *text, *shown;
        int columns;
    } cases[] = {
        {"", "", 0},
        {"note.ogg", "note.ogg", 8},
        {"\xe5\xa3\xb0.ogg", "\xe5\xa3\xb0.ogg", 6},         /* wide */
        {"e\xcc\x81l.ogg", "e\xcc\x81l.ogg", 6},             /* combining */
        {"\xf0\x9f\x8e\xa4.ogg", "\xf0\x9f\x8e\xa4.ogg", 6}, /* emoji */
        {"a\x1b[2Jb\nc\x7f", "a?[2Jb?c?", 9},                /* control characters */
        {"a\xc2\x9b"
         "2Jb",
         "a?2Jb", 5}, /* CSI as one character */
        {"gpj.\xe2\x80\xae"
         "ogg",
         "gpj.?ogg", 8},               /* turns the direction */
        {"a\xff\xe5\xa3z", "a??z", 4}, /* ill-formed */
        {"a\xef\xbb\xbf"
         "b",
         "a?b", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        assert_int_equal(cara_cli_shown(cases[i].text, out, sizeof out), cases[i].columns);
        assert_string_equal(out, cases[i].shown);
    }
}

static void cut_in_the_middle(void **state) {
    static const struct {
        const char *text, *shown;
        int within, columns;
    } cases[] = {
        {"estrella-del-mar.ogg", "estr...r.ogg", 12, 12},
        {"estrella-del-mar.ogg", "estrella-del-mar.ogg", 20, 20},
        {"estrella-del-mar.ogg", "estrell", 7, 7}, /* no room for dots */
        {"estrella-del-mar.ogg", "", 0, 0},
        {"\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0\xe5\xa3\xb0",
         "\xe5\xa3\xb0...\xe5\xa3\xb0", 8, 7}, /* half a wide character is left out */
        {"\xe5\xa3\xb0", "", 1, 0},
        {"aaae\xcc\x81"
         "bbbbbbe\xcc\x81"
         "cccc",
         "aaa...cccc", 10, 10}, /* a mark goes with its letter */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        assert_int_equal(cara_cli_shown_within(cases[i].text, cases[i].within, out, sizeof out),
                         cases[i].columns);
        assert_string_equal(out, cases[i].shown);
    }
}

/* No size cuts a character in two. */
static void small_buffers(void **state) {
    static const char text[] = "\xe5\xa3\xb0\xf0\x9f\x8e\xa4 e\xcc\x81 voice note of today.ogg";
    for (size_t size = 1; size < 60; size++)
        for (int within = 0; within < 40; within++) {
            char out[60], again[60];
            memset(out, 'x', sizeof out);
            int columns = cara_cli_shown_within(text, within, out, size);
            assert_true(strlen(out) < size);
            assert_true(columns <= within);
            assert_int_equal(cara_cli_shown(out, again, sizeof again), columns);
            assert_string_equal(out, again);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_and_safety),
        cmocka_unit_test(cut_in_the_middle),
        cmocka_unit_test(small_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
