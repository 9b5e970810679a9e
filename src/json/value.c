#include "base/utf8.h"
#include "json/json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

const char *cara_json_text(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

const char *cara_json_text_or(const json_t *object, const char *key, const char *otherwise) {
    const char *text = cara_json_text(object, key);
    return text ? text : otherwise;
}

json_t *cara_json_string(const void *bytes, size_t n) {
    if (cara_utf8_valid(bytes, n))
        return json_stringn(bytes, n);
    char *fixed = n < SIZE_MAX / 4 ? malloc(3 * n + 1) : NULL;
    if (!fixed)
        return NULL;
    json_t *value = json_stringn(fixed, cara_utf8_replace(bytes, n, fixed));
    free(fixed);
    return value;
}

json_t *cara_json_real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}
