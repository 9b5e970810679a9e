#include "deploy/tags.h"

#include "base/utf8.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MOST_TAGS = 50, KEY_LETTERS = 128, VALUE_LETTERS = 256 };

/* How many characters; -1 where one is not allowed. All beyond ASCII count as letters here. */
static int count(const char *s, size_t n) {
    int letters = 0;
    for (size_t at = 0; at < n; letters++) {
        uint32_t c;
        size_t skip;
        int m = cara_utf8_decode((const uint8_t *)s + at, n - at, &c, &skip);
        if (m == 0 || c == 0 ||
            (c < 0x80 && !strchr(" _.:/=+-@", (int)c) &&
             !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9')))
            return -1;
        at += (size_t)m;
    }
    return letters;
}

static int refuse(cara_error *err, const char *tag, size_t n, const char *why) {
    return cara_fail(err, CARA_ERR_USAGE, -1, "--tags takes Key=Value,Key=Value, and \"%.*s\" %s",
                     n > 80 ? 80 : (int)n, tag, why);
}

static int add(json_t *list, const char *tag, size_t n, cara_error *err) {
    const char *equals = memchr(tag, '=', n);
    size_t key = equals ? (size_t)(equals - tag) : n;
    if (!equals)
        return refuse(err, tag, n, "has no =");
    const char *value = equals + 1;
    size_t rest = n - key - 1;
    int letters = count(tag, key), value_letters = count(value, rest);
    if (letters < 0 || value_letters < 0)
        return refuse(err, tag, n,
                      "has a character other than letters, digits, blanks and _.:/=+-@");
    if (letters == 0 || letters > KEY_LETTERS)
        return refuse(err, tag, n, "has a key that is empty, or longer than 128 letters");
    if (value_letters > VALUE_LETTERS)
        return refuse(err, tag, n, "has a value that is longer than 256 letters");
    if (key >= 4 && strncasecmp(tag, "aws:", 4) == 0)
        return refuse(err, tag, n, "begins with aws:, which only AWS may set");
    if (json_array_size(list) == MOST_TAGS)
        return refuse(err, tag, n, "is more than the 50 that AWS allows");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *other = cara_json_text_or(json_array_get(list, i), "Key", "");
        if (strlen(other) == key && memcmp(other, tag, key) == 0)
            return refuse(err, tag, n, "has a key that is there twice");
    }
    json_t *one = json_object();
    if (!one || json_object_set_new(one, "Key", json_stringn(tag, key)) ||
        json_object_set_new(one, "Value", json_stringn(value, rest)) ||
        json_array_append(list, one)) {
        json_decref(one);
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for tags");
    }
    json_decref(one);
    return CARA_OK;
}

int cara_tags_read(const char *text, json_t **out, cara_error *err) {
    json_t *list = *out = json_array();
    int rc = list ? CARA_OK : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for tags");
    if (!rc && strcmp(text, "none") == 0)
        return CARA_OK;
    for (const char *p = text; !rc; p++) {
        size_t n = strcspn(p, ",");
        rc = add(list, p, n, err);
        p += n;
        if (!*p)
            break;
    }
    if (rc) {
        json_decref(list);
        *out = NULL;
    }
    return rc;
}
