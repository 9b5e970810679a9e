#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/model/make.h"
#include "cli/named.h"

#include <stdlib.h>
#include <string.h>

static const char *named(const cara_cli_command *command, const char *text) {
    static cara_error err;
    cara_cli_running(command);
    cara_fail(&err, CARA_ERR_USAGE, -1, "%s", text);
    cara_cli_name(&err);
    return err.text;
}

/* Options of libcaracola become flags; what the command lacks is left out. */
static void options(void **state) {
    static const struct {
        const cara_cli_command *command;
        const char *text, *named;
    } cases[] = {
        {&cara_command_transcribe,
         "the audio is longer than the limit of 5 seconds; raise max_seconds",
         "the audio is longer than the limit of 5 seconds; raise --max_seconds"},
        {&cara_command_transcribe,
         "the audio has 9 bytes, more than the limit of 5; raise max_bytes",
         "the audio has 9 bytes, more than the limit of 5"},
        {&cara_command_handle, "the audio is longer than the limit of 5 seconds; raise max_seconds",
         "the audio is longer than the limit of 5 seconds"},
        {&cara_command_transcribe, "put it beside; or name another by vocab_path",
         "put it beside; or name another by --vocab"},
        {&cara_command_bench, "put it beside; or name another by vocab_path", "put it beside"},
        {&cara_command_transcribe, "suppress_tokens is \"x\"; it takes token ids",
         "--suppress_tokens is \"x\"; it takes token ids"},
        {&cara_command_transcribe, "n_mels is 3, but there are 80",
         "n_mels is 3, but there are 80"},
        {&cara_command_transcribe, "cannot open max_seconds: no", "cannot open max_seconds: no"},
        {&cara_command_transcribe, "one; two", "one; two"},
        {&cara_command_transcribe, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(named(cases[i].command, cases[i].text), cases[i].named);
}

static void variables(void **state) {
    unsetenv("CARACOLA_STORE");
    unsetenv("CARACOLA_TIMEZONE");
    unsetenv("CARACOLA_MODEL_SHA256");
    assert_string_equal(named(&cara_command_worker, "no store is named; CARACOLA_STORE takes one"),
                        "no store is named; --store or CARACOLA_STORE takes one");
    assert_int_equal(setenv("CARACOLA_STORE", "x", 1), 0);
    assert_string_equal(named(&cara_command_worker, "CARACOLA_STORE takes a folder, got \"x\""),
                        "CARACOLA_STORE takes a folder, got \"x\"");
    assert_int_equal(cara_cli_set_variable("CARACOLA_TIMEZONE", "x"), 0);
    assert_string_equal(getenv("CARACOLA_TIMEZONE"), "x");
    assert_string_equal(named(&cara_command_worker, "CARACOLA_TIMEZONE takes a zone"),
                        "--timezone takes a zone");
    /* Neither has such a flag. */
    assert_string_equal(named(&cara_command_transcribe, "CARACOLA_STORE takes a folder"),
                        "CARACOLA_STORE takes a folder");
    assert_string_equal(named(&cara_command_worker, "CARACOLA_CPU, CARACOLA_ and CARACOLA_X."),
                        "CARACOLA_CPU, CARACOLA_ and CARACOLA_X.");
    assert_string_equal(named(&cara_command_model_fetch, "CARACOLA_MODEL_SHA256 takes hex"),
                        "--sha256 or CARACOLA_MODEL_SHA256 takes hex");
    char text[520];
    memset(text, 'x', sizeof text);
    memcpy(text + 480, " CARACOLA_MODEL_SHA256", 22);
    text[sizeof text - 1] = '\0';
    assert_int_equal(strlen(named(&cara_command_model_fetch, text)), 511); /* cut, not over */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options),
        cmocka_unit_test(variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
