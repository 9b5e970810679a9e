/* What a function answers to doctor: read, shown as JSON, and read again. */
#include "base/limits.h"
#include "doctor/checkup.h"
#include "json/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    cara_checkup *one = calloc(1, sizeof *one), *two = calloc(1, sizeof *two);
    cara_error err = {0};
    if (one && two) {
        int rc = cara_checkup_read(one, (const char *)data, n, &err);
        if (rc ? !err.text[0] || one->n : !one->n)
            abort();
        json_t *root = cara_checkup_json(one);
        cara_buf text;
        cara_buf_init(&text, CARA_MIB);
        if (!root ||
            cara_json_write(root, CARA_JSON_COMPACT, &text)) /* a sentence that is no UTF-8 */
            abort();
        if (!rc && (cara_checkup_read(two, text.data, text.len, &err) || two->n != one->n ||
                    cara_checkup_verdict(one) != cara_checkup_verdict(two)))
            abort();
        cara_buf_free(&text);
        json_decref(root);
    }
    free(one);
    free(two);
    return 0;
}
