#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/commands.h"

#include <ctype.h>
#include <string.h>

/* 1 where the command has the flag: "--output_dir" or "-o". */
static int has_flag(const cara_cli_command *command, const char *name, size_t n) {
    cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1];
    int n_flags = cara_cli_flags(command, flags);
    for (int i = 0; i < n_flags; i++)
        if ((strlen(flags[i].shown) == n && memcmp(flags[i].shown, name, n) == 0) ||
            (n == 2 && flags[i].option.letter && flags[i].option.letter == name[1]))
            return 1;
    return 0;
}

/* Advice is for names that are no flags, and names flags that are there. */
static void check_command(const cara_cli_command *command) {
    for (const cara_cli_advice *a = command->advice; a && a->name; a++) {
        const char *const names[] = {a->name, a->another};
        for (int i = 0; i < 2 && names[i]; i++) {
            assert_true(names[i][0] == '-');
            assert_null(strchr(names[i] + 2, '-'));
            if (has_flag(command, names[i], strlen(names[i])))
                fail_msg("%s has %s by now", command->name, names[i]);
            if (cara_cli_advice_for(command->advice, names[i]) != a->advice)
                fail_msg("%s: %s is there twice", command->name, names[i]);
        }
        for (const char *p = a->advice; *p; p++) {
            if (*p != '-' || (p > a->advice && p[-1] != ' ') || p[1] == ' ' || isdigit(p[1]))
                continue;
            size_t n = 2;
            while (isalpha((unsigned char)p[n]) || p[n] == '_')
                n++;
            if (!has_flag(command, p, n))
                fail_msg("%s has no %.*s, which the advice for %s names", command->name, (int)n, p,
                         a->name);
            p += n - 1;
        }
    }
}

static void advice_is_true(void **state) {
    size_t with_advice = 0;
    for (const cara_cli_command *const *c = cara_cli_commands; *c; c++) {
        check_command(*c);
        with_advice += (*c)->advice != NULL;
    }
    assert_true(with_advice > 4);
}

/* The words for values are in a table: else they would be completed as text without a word. */
static void words_are_known(void **state) {
    for (const cara_cli_command *const *c = cara_cli_commands; *c; c++)
        for (const cara_cli_command *const *sub = (*c)->commands ? (*c)->commands : c; *sub;
             sub++) {
            for (const cara_cli_option *o = (*sub)->options; o && o->name; o++) {
                int known = 1;
                if (o->value)
                    cara_cli_word(*sub, o->value, strlen(o->value), &known);
                if (!known)
                    fail_msg("%s: no table has the word %s of --%s", (*sub)->name, o->value,
                             o->name);
            }
            cara_cli_value value;
            int many = 0;
            for (int i = 0; !many && cara_cli_operand(*sub, i, &value, &many) == 0; i++) {
                int known;
                cara_cli_word(*sub, value.word, strcspn(value.word, "]. "), &known);
                if (!known)
                    fail_msg("%s: no table has the operand %s", (*sub)->name, value.word);
            }
            if (!(*c)->commands)
                break;
        }
}

static void nearest_names(void **state) {
    static const char *const names[] = {"--help", "--model", "--output_dir", "--json", NULL};
    static const struct {
        const char *typed, *meant;
    } cases[] = {{"--hlep", "--help"},
                 {"--halp", "--help"},
                 {"--file", NULL},
                 {"--modle", "--model"},
                 {"--outputdir", "--output_dir"},
                 {"--output_srt", NULL},
                 {"--jsn", "--json"},
                 {"--translate", NULL},
                 {"--xyzzy", NULL},
                 {"--", NULL},
                 {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = cara_cli_nearest(cases[i].typed, names);
        if (cases[i].meant)
            assert_string_equal(near ? near : "nothing", cases[i].meant);
        else
            assert_null(near);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advice_is_true),
        cmocka_unit_test(words_are_known),
        cmocka_unit_test(nearest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
