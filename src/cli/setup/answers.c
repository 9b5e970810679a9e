#include "cli/setup/answers.h"

#include "base/files/file.h"
#include "base/limits.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT (64 * CARA_KIB)

/* Numbers as texts, which flags take. USAGE where a value is neither text, number nor boolean. */
static int make_texts(const char *path, json_t *object, cara_error *err) {
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        if (json_is_integer(value)) {
            char text[32];
            snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
            if (json_object_set_new(object, name, json_string(text)))
                return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %.200s", path);
        } else if (json_is_string(value)
                       ? strlen(json_string_value(value)) != json_string_length(value)
                       : !json_is_boolean(value)) {
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "%.200s: \"%.60s\" takes a text, a whole number, true or false", path,
                             name);
        }
    }
    return CARA_OK;
}

int cara_answers_read(const char *path, json_t **out, cara_error *err) {
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_USAGE, FILE_LIMIT);
    char *text;
    size_t n;
    *out = NULL;
    int rc = cara_read_file(path, FILE_LIMIT, &text, &n, err);
    if (rc == CARA_ERR_MEMORY)
        rc = cara_fail(err, CARA_ERR_USAGE, -1, "%.200s is too large for a file of answers", path);
    if (rc)
        return rc;
    rc = cara_json_read(text, n, &rules, out, err);
    free(text);
    if (rc) {
        cara_error_prefix(err, "%.200s", path);
        return rc;
    }
    rc = json_is_object(*out)
             ? make_texts(path, *out, err)
             : cara_fail(err, CARA_ERR_USAGE, -1,
                         "%.200s is no file of answers, an object as {\"region\": \"us-east-1\"}",
                         path);
    if (rc) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

int cara_answers_each(json_t *file, int (*each)(void *ctx, const char *name, const char *value),
                      void *ctx) {
    const char *name;
    json_t *value;
    int rc = 0;
    json_object_foreach(file, name, value) {
        char flag[64];
        snprintf(flag, sizeof flag, "%s", name);
        for (char *p = flag; *p; p++)
            if (*p == '_')
                *p = '-';
        if (!rc && !json_is_false(value))
            rc = each(ctx, flag, json_string_value(value));
    }
    return rc;
}

int cara_answers_own(const json_t *file, const char *text) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)file, name, value) {
        if (json_string_value(value) == text)
            return 1;
    }
    return 0;
}

int cara_answers_add(json_t *object, const char *name, const char *value) {
    return json_object_set_new(object, name, value ? json_string(value) : json_true());
}

int cara_answers_write(const char *path, const json_t *object, cara_error *err) {
    cara_buf text;
    cara_buf_init(&text, FILE_LIMIT);
    int rc = CARA_OK;
    if (cara_json_write(object, CARA_JSON_INDENTED, &text) || cara_buf_char(&text, '\n'))
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %.200s", path);
    if (!rc)
        rc = cara_write_file_atomic(path, text.data, text.len, 0666, 1, err);
    cara_buf_free(&text);
    return rc;
}
