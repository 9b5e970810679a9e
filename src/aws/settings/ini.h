/* The format of ~/.aws/config and ~/.aws/credentials (AWS SDKs and Tools Reference Guide, "Shared
 * config and credentials files"). */
#ifndef AWS_INI_H
#define AWS_INI_H

#include "base/error.h"
#include "base/memory/arena.h"

#include <stddef.h>

typedef struct cara_ini_entry cara_ini_entry;
struct cara_ini_entry {
    const char *section; /* as between the brackets, white space runs as one space, no quotes */
    const char *parent; /* for a nested line, the key that it stands under, else NULL; lower case */
    const char *key;    /* lower case */
    const char *value;  /* trimmed; "" where empty */
    const cara_ini_entry *next; /* in the order of the file */
};

typedef struct cara_ini {
    const cara_ini_entry *first;
    cara_ini_entry *last;
} cara_ini;

/* Adds the entries of text[0..n) to *ini; all memory is the arena's. `name` is for the error's
 * text. USAGE, with the line's number in the text, where the format is wrong; MEMORY. */
int cara_ini_parse(const char *name, const char *text, size_t n, cara_arena *arena, cara_ini *ini,
                   cara_error *err);

/* The last value of that key, or NULL. `parent` NULL: one that is not nested. */
const char *cara_ini_find(const cara_ini *ini, const char *section, const char *parent,
                          const char *key);

/* 1 where any entry is in that section. */
int cara_ini_has(const cara_ini *ini, const char *section);

#endif
