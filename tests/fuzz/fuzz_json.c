/* Whatever both readers accept is written in every style, and reads back as the same value. */
#include "json/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_EVENT, CARA_MIB);

static void check_writer(const json_t *value) {
    for (int style = CARA_JSON_COMPACT; style <= CARA_JSON_PYTHON; style++) {
        cara_buf text;
        cara_buf_init(&text, 64 * CARA_MIB);
        json_t *back = NULL;
        if (cara_json_write(value, (cara_json_style)style, &text) ||
            cara_json_read(text.data, text.len, &rules, &back, NULL) || !json_equal(value, back))
            abort();
        json_decref(back);
        cara_buf_free(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *value = NULL, *with_repair = NULL;
    int repaired = 0;
    cara_error err = {.code = CARA_OK, .position = -1};
    int rc = cara_json_read((const char *)data, size, &rules, &value, &err);
    if (rc != CARA_OK && (rc != CARA_ERR_EVENT || value || err.position < 0 ||
                          err.position > (int64_t)size || !err.text[0]))
        abort();
    int second =
        cara_json_read_repaired((const char *)data, size, &rules, &with_repair, &repaired, NULL);
    if (rc == CARA_OK && (second != CARA_OK || repaired || !json_equal(value, with_repair)))
        abort();
    if (second == CARA_OK)
        check_writer(with_repair);
    json_decref(value);
    json_decref(with_repair);
    return 0;
}
