#include "model/model.h"
int cara_cara_is(cara_slice file) {
    return 0;
}
int cara_cara_read(cara_model *model, cara_error *err) {
    return cara_fail(err, CARA_ERR_MODEL_FORMAT, 0, "x");
}
