#include "aws/settings/ini.h"

#include <string.h>

typedef struct span {
    const char *p;
    size_t n;
} span;

static int is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static span trim(span s) {
    while (s.n && is_blank(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* A '#' or ';' that begins the line or follows a blank starts a comment. */
static span without_comment(span s) {
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] == '#' || s.p[i] == ';') && (i == 0 || is_blank(s.p[i - 1]))) {
            s.n = i;
            break;
        }
    return trim(s);
}

/* "profile  \"my name\"" as "profile my name". */
static char *section_name(cara_arena *arena, span s) {
    char *out = cara_arena_alloc(arena, s.n + 1, 1);
    if (!out)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\'')
            continue;
        if (is_blank(s.p[i]) && n && out[n - 1] == ' ')
            continue;
        out[n++] = is_blank(s.p[i]) ? ' ' : s.p[i];
    }
    out[n] = 0;
    return out;
}

static char *lower_copy(cara_arena *arena, span s) {
    char *out = cara_arena_strndup(arena, s.p, s.n);
    for (char *p = out; p && *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    return out;
}

int cara_ini_parse(const char *name, const char *text, size_t n, cara_arena *arena, cara_ini *ini,
                   cara_error *err) {
    const char *section = NULL, *parent = NULL;
    int parent_empty = 0;
    size_t line_number = 0, at = 0;
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        at = 3;
    for (; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        span raw = {text + at, end ? (size_t)(end - text) - at : n - at};
        size_t line_at = at;
        at += raw.n + (end != NULL);
        line_number++;
        if (memchr(raw.p, 0, raw.n))
            return cara_fail(err, CARA_ERR_USAGE, (int64_t)line_at,
                             "%s, line %zu: a NUL byte; this is no AWS profile file", name,
                             line_number);
        int nested = raw.n && is_blank(raw.p[0]);
        span line = without_comment(raw);
        if (!line.n)
            continue;
        if (line.p[0] == '[') {
            if (line.p[line.n - 1] != ']')
                return cara_fail(
                    err, CARA_ERR_USAGE, (int64_t)line_at,
                    "%s, line %zu: a section needs its closing bracket, as [profile x]", name,
                    line_number);
            section = section_name(arena, trim((span){line.p + 1, line.n - 2}));
            if (!section)
                goto no_memory;
            parent = NULL;
            continue;
        }
        const char *equals = memchr(line.p, '=', line.n);
        /* A nested line below a key with a value only continues that value, and no value that we
         * read has more than one line. */
        if (nested && parent && !parent_empty)
            continue;
        if (!equals || equals == line.p)
            return cara_fail(err, CARA_ERR_USAGE, (int64_t)line_at,
                             "%s, line %zu: expected \"key = value\" or a [section]", name,
                             line_number);
        if (!section)
            return cara_fail(err, CARA_ERR_USAGE, (int64_t)line_at,
                             "%s, line %zu: a setting stands before the first [section]", name,
                             line_number);
        span key = trim((span){line.p, (size_t)(equals - line.p)});
        span value = trim((span){equals + 1, line.n - (size_t)(equals - line.p) - 1});
        cara_ini_entry *entry = cara_arena_alloc(arena, 1, sizeof *entry);
        if (!entry)
            goto no_memory;
        entry->section = section;
        entry->key = lower_copy(arena, key);
        entry->value = cara_arena_strndup(arena, value.p, value.n);
        if (!entry->key || !entry->value)
            goto no_memory;
        if (nested && parent) {
            entry->parent = parent;
        } else {
            parent = entry->key;
            parent_empty = value.n == 0;
        }
        if (ini->last)
            ini->last->next = entry;
        else
            ini->first = entry;
        ini->last = entry;
    }
    return CARA_OK;
no_memory:
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the settings in %s", name);
}

const char *cara_ini_find(const cara_ini *ini, const char *section, const char *parent,
                          const char *key) {
    const char *found = NULL;
    for (const cara_ini_entry *e = ini->first; e; e = e->next)
        if (strcmp(e->key, key) == 0 && strcmp(e->section, section) == 0 &&
            (parent ? e->parent && strcmp(e->parent, parent) == 0 : !e->parent))
            found = e->value;
    return found;
}

int cara_ini_has(const cara_ini *ini, const char *section) {
    for (const cara_ini_entry *e = ini->first; e; e = e->next)
        if (strcmp(e->section, section) == 0)
            return 1;
    return 0;
}
