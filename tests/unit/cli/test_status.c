#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/commands.h"

#include <string.h>

/* Every code of an error has its exit status. */
static void statuses_of_codes(void **state) {
    static const struct {
        cara_code code;
        cara_exit status;
    } cases[] = {
        {CARA_OK, CARA_EXIT_OK},
        {CARA_ERR_USAGE, CARA_EXIT_USAGE},
        {CARA_ERR_CPU, CARA_EXIT_USAGE},
        {CARA_ERR_AUDIO_FORMAT, CARA_EXIT_AUDIO},
        {CARA_ERR_AUDIO_CORRUPT, CARA_EXIT_AUDIO},
        {CARA_ERR_AUDIO_LIMIT, CARA_EXIT_AUDIO},
        {CARA_ERR_AUDIO_MODULE, CARA_EXIT_AUDIO},
        {CARA_ERR_MODEL_FORMAT, CARA_EXIT_MODEL},
        {CARA_ERR_MODEL_CORRUPT, CARA_EXIT_MODEL},
        {CARA_ERR_MODEL_SHAPE, CARA_EXIT_MODEL},
        {CARA_ERR_VOCAB, CARA_EXIT_MODEL},
        {CARA_ERR_IO, CARA_EXIT_FILES},
        {CARA_ERR_NOT_FOUND, CARA_EXIT_FILES},
        {CARA_ERR_STORE, CARA_EXIT_FILES},
        {CARA_ERR_CONFLICT, CARA_EXIT_FILES},
        {CARA_ERR_LIMIT, CARA_EXIT_FILES},
        {CARA_ERR_EVENT, CARA_EXIT_EVENT},
        {CARA_ERR_NETWORK, CARA_EXIT_REMOTE},
        {CARA_ERR_DENIED, CARA_EXIT_REMOTE},
        {CARA_ERR_CANCELLED, CARA_EXIT_INTERRUPTED},
        {CARA_ERR_MEMORY, CARA_EXIT_INTERNAL},
        {CARA_ERR_INTERNAL, CARA_EXIT_INTERNAL},
        {(cara_code)-12345, CARA_EXIT_INTERNAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cara_cli_exit_for(cases[i].code) != cases[i].status)
            fail_msg("%s gives %d", cara_code_name(cases[i].code),
                     cara_cli_exit_for(cases[i].code));
}

/* What a command documents is in the table of all, and goes upwards. */
static void check_command(const cara_cli_command *command) {
    int last = -1;
    assert_non_null(command->statuses);
    for (const cara_cli_status *s = command->statuses; s->meaning; s++) {
        const cara_cli_status *known = cara_cli_statuses;
        while (known->meaning && known->status != s->status)
            known++;
        if (!known->meaning || s->status <= last)
            fail_msg("%s: %d", command->name, s->status);
        last = s->status;
    }
}

static void documented_statuses(void **state) {
    for (const cara_cli_command *const *c = cara_cli_commands; *c; c++) {
        if (!(*c)->commands)
            check_command(*c);
        for (const cara_cli_command *const *sub = (*c)->commands; sub && *sub; sub++)
            check_command(*sub);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_of_codes),
        cmocka_unit_test(documented_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
