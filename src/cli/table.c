/* Reads the tables of commands: their flags, and what the words for values mean. */
#include "cli/command.h"

#include <string.h>

/* Words that mean the same for every command. */
static const cara_cli_value shared[] = {
    {"FILE", CARA_CLI_FILE, NULL, NULL},
    {"DIR", CARA_CLI_FOLDER, NULL, NULL},
    {"DIR|aws", CARA_CLI_FOLDER, "aws", NULL},
    {"MODEL", CARA_CLI_FILE, NULL, ".cara .pt"},
    {"VOCAB", CARA_CLI_FILE, NULL, ".tiktoken"},
    {"PATH", CARA_CLI_FILE, NULL, NULL},
    {"BOOL", CARA_CLI_CHOICE, "True False", NULL},
    {"N", CARA_CLI_NUMBER, NULL, NULL},
    {"N|None", CARA_CLI_NUMBER, "None", NULL},
    {"NUMBER", CARA_CLI_NUMBER, NULL, NULL},
    {"NUMBER|None", CARA_CLI_NUMBER, "None", NULL},
    {"SECONDS", CARA_CLI_NUMBER, NULL, NULL},
    {"LANG", CARA_CLI_LANGUAGE, NULL, NULL},
    {"SHAPE", CARA_CLI_CHOICE,
     "tiny tiny.en base base.en small small.en medium medium.en large-v1 large-v2 large-v3 "
     "large-v3-turbo",
     NULL},
    {"COMMAND", CARA_CLI_COMMAND, NULL, NULL},
    {"TEXT", CARA_CLI_TEXT, NULL, NULL},
    {"NAME", CARA_CLI_TEXT, NULL, NULL},
    {"URL", CARA_CLI_TEXT, NULL, NULL},
    {"ARN", CARA_CLI_TEXT, NULL, NULL},
    {"ID", CARA_CLI_TEXT, NULL, NULL},
    {"HEX", CARA_CLI_TEXT, NULL, NULL},
    {"s3://BUCKET/KEY", CARA_CLI_TEXT, NULL, NULL},
};

static int is_word(const char *a, const char *b, size_t n) {
    return strlen(a) == n && memcmp(a, b, n) == 0;
}

cara_cli_value cara_cli_word(const cara_cli_command *command, const char *word, size_t n,
                             int *known) {
    int found = 1;
    cara_cli_value value = {word, CARA_CLI_TEXT, NULL, NULL};
    for (const cara_cli_value *v = command->values; v && v->word; v++)
        if (is_word(v->word, word, n)) {
            value = *v;
            goto done;
        }
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        if (is_word(shared[i].word, word, n)) {
            value = shared[i];
            goto done;
        }
    found = 0;
done:
    if (known)
        *known = found;
    return value;
}

static void spell(char *out, size_t size, const char *name, char from, char to) {
    size_t n = (size_t)snprintf(out, size, "--%s", name);
    for (size_t i = 2; i < n && i < size; i++)
        if (out[i] == from)
            out[i] = to;
}

/* openai's command shows its flags with underscores, and so do our messages. */
static cara_cli_flag resolve(const cara_cli_option *option, cara_cli_value value) {
    cara_cli_flag flag = {.option = *option, .value = value};
    spell(flag.shown, sizeof flag.shown, option->name, '-', '_');
    spell(flag.hyphens, sizeof flag.hyphens, option->name, '_', '-');
    return flag;
}

int cara_cli_flags(const cara_cli_command *command, cara_cli_flag flags[CARA_CLI_MAX_OPTIONS + 1]) {
    static const cara_cli_option help = {"help", 'h', NULL, "show this"};
    const cara_cli_value none = {NULL, CARA_CLI_TEXT, NULL, NULL};
    int n = 0;
    for (const cara_cli_option *o = command->options; o && o->name && n < CARA_CLI_MAX_OPTIONS; o++)
        flags[n++] =
            resolve(o, o->value ? cara_cli_word(command, o->value, strlen(o->value), NULL) : none);
    cara_cli_option more;
    cara_cli_value value;
    for (int i = 0; command->more_options && n < CARA_CLI_MAX_OPTIONS &&
                    command->more_options(i, &more, &value) == 0;
         i++)
        flags[n++] = resolve(&more, value);
    flags[n++] = resolve(&help, none);
    return n;
}

size_t cara_cli_next_word(const char **at, const char **word) {
    const char *begin = *at ? *at + strspn(*at, " ") : "";
    size_t n = strcspn(begin, " ");
    *word = begin;
    *at = begin + n;
    return n;
}

int cara_cli_operand(const cara_cli_command *command, int i, cara_cli_value *value, int *many) {
    const char *at = command->operands, *word;
    size_t n;
    *many = 0;
    for (int seen = 0; (n = cara_cli_next_word(&at, &word)) > 0; seen++) {
        int more = n > 3 && memcmp(word + n - 3, "...", 3) == 0;
        if (more)
            n -= 3;
        if (*word == '[' && n > 2 && word[n - 1] == ']') {
            word++;
            n -= 2;
        }
        if (seen == i || more) {
            *value = cara_cli_word(command, word, n, NULL);
            *many = more;
            return 0;
        }
    }
    return -1;
}
