#include "aws/exchange/json_text.h"

#include <string.h>

static int on_piece(const char *text, size_t n, void *cookie) {
    return cara_buf_add(cookie, text, n);
}

int cara_aws_json_write(const json_t *value, cara_buf *out) {
    /* The buffer remembers a failed append that jansson may ignore. */
    return json_dump_callback(value, on_piece, out, JSON_COMPACT) || out->failed ? -1 : 0;
}

json_t *cara_aws_json_parse(const char *text, size_t n, int *memory) {
    json_error_t trouble;
    memset(&trouble, 0, sizeof trouble); /* its last byte holds the code, and may stay unset */
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &trouble);
    *memory = !root && (!trouble.text[0] || json_error_code(&trouble) == json_error_out_of_memory);
    return root;
}

const char *cara_aws_json_text(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}
