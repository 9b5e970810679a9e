#include "aws/client/json_call.h"

#include "base/limits.h"

#define BODY_LIMIT (4 * CARA_MIB) /* a WhatsApp message is the longest: 2.7 MB in Base64 */

static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_NETWORK, CARA_LIMIT_ANSWER_BYTES);

/* Keeps the parsed answer from check to caller. */
typedef struct reading {
    const char *what;
    json_t *root;
} reading;

static int check(void *cookie, const cara_http_response *response, cara_error *err) {
    reading *r = cookie;
    int rc = CARA_OK;
    json_decref(r->root);
    if (response->body.len)
        rc = cara_json_read(response->body.data, response->body.len, &rules, &r->root, NULL);
    else if (!(r->root = json_object()))
        rc = CARA_ERR_MEMORY;
    if (rc == CARA_ERR_MEMORY)
        return cara_fail(err, rc, -1, "no memory for the answer to %s", r->what);
    if (json_is_object(r->root))
        return CARA_OK;
    return cara_fail(err, CARA_ERR_NETWORK, -1, "%s was answered with something that is not JSON",
                     r->what);
}

int cara_aws_json(cara_aws *aws, cara_aws_call call, json_t *request, json_t **answer,
                  cara_error *err) {
    *answer = NULL;
    reading r = {.what = call.what};
    cara_buf body;
    cara_buf_init(&body, BODY_LIMIT);
    int unwritten = request && cara_json_write(request, CARA_JSON_COMPACT, &body);
    json_decref(request);
    if (unwritten) {
        cara_buf_free(&body);
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %s", call.what);
    }
    call.body = body.data;
    call.body_len = body.len;
    call.check = check;
    call.check_cookie = &r;
    cara_http_response response = {0};
    int rc = cara_aws_do(aws, &call, &response, err);
    cara_http_response_free(&response);
    cara_buf_free(&body);
    if (rc)
        json_decref(r.root);
    else
        *answer = r.root;
    return rc;
}
