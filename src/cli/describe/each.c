#include "cli/describe/each.h"

#include "tokenizer/language.h"

#include <string.h>

const cara_cli_command *cara_each_command(const cara_cli_command *const *commands, int i) {
    for (; *commands; commands++) {
        if (!(*commands)->commands) {
            if (i-- == 0)
                return *commands;
            continue;
        }
        for (const cara_cli_command *const *c = (*commands)->commands; *c; c++)
            if (i-- == 0)
                return *c;
    }
    return NULL;
}

const char *cara_each_own_name(const cara_cli_command *command) {
    const char *blank = strrchr(command->name, ' ');
    return blank ? blank + 1 : command->name;
}

int cara_each_has_words(const cara_cli_value *value) {
    return value->choices || value->kind == CARA_CLI_LANGUAGE || value->kind == CARA_CLI_COMMAND;
}

void cara_each_word(const cara_cli_command *const *commands, const cara_cli_value *value,
                    const char *before, FILE *out) {
    const char *at = value->choices, *word;
    for (size_t n; (n = cara_cli_next_word(&at, &word)) > 0;)
        fprintf(out, "%s%.*s", before, (int)n, word);
    for (int i = 0; value->kind == CARA_CLI_LANGUAGE && i < CARA_N_LANGUAGES; i++)
        fprintf(out, "%s%s", before, cara_language_code(i));
    for (; value->kind == CARA_CLI_COMMAND && *commands; commands++)
        fprintf(out, "%s%s", before, (*commands)->name);
}

void cara_each_escaped(const char *text, size_t n, const char *escaped, FILE *out) {
    for (const char *p = text; p < text + n; p++) {
        if (*p == '\'') {
            fputs("'\\''", out);
            continue;
        }
        if (strchr(escaped, *p))
            fputc('\\', out);
        fputc(*p == '\n' ? ' ' : *p, out);
    }
}

const char *cara_each_before(const char *text, const char *marker, FILE *out) {
    const char *at = strstr(text, marker);
    if (!at)
        return text;
    fwrite(text, 1, (size_t)(at - text), out);
    return at + strlen(marker);
}
