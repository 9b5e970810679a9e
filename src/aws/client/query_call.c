#include "aws/client/query_call.h"

#include "base/limits.h"
#include "net/url.h"

#include <string.h>

#define FORM_LIMIT (64 * CARA_KIB)

static int make_form(const cara_aws_query_call *call, cara_buf *form) {
    int failed = cara_buf_printf(form, "Action=%s&Version=%s", call->action, call->version);
    for (size_t i = 0; i < call->n_pairs && !failed; i++)
        failed = cara_buf_printf(form, "&%s=", call->pairs[i].name) ||
                 cara_url_encode(form, call->pairs[i].value, strlen(call->pairs[i].value), 0);
    return failed;
}

int cara_aws_query(cara_aws *aws, const cara_aws_query_call *query, cara_error *err) {
    cara_buf form;
    cara_buf_init(&form, FORM_LIMIT);
    cara_http_response response = {0};
    int rc;
    if (make_form(query, &form)) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %s, or its values are too long",
                       query->what);
    } else {
        const cara_http_header header = {"Content-Type", "application/x-www-form-urlencoded"};
        const cara_aws_call call = {.service = query->service,
                                    .what = query->what,
                                    .region = query->region,
                                    .method = "POST",
                                    .path = "/",
                                    .headers = &header,
                                    .n_headers = 1,
                                    .body = form.data,
                                    .body_len = form.len,
                                    .unsigned_call = query->unsigned_call};
        rc = cara_aws_do(aws, &call, &response, err);
    }
    if (!rc)
        rc = cara_xml_parse(response.body.data, response.body.len, query->handler, err);
    cara_http_response_free(&response);
    cara_buf_free(&form);
    return rc;
}
