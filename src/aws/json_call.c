#include "aws/json_call.h"

#include <stdlib.h>
#include <string.h>

/* Keeps the parsed answer from check to caller. */
typedef struct reading {
    const char *what;
    json_t *root;
} reading;

static int check(void *cookie, const cara_http_response *response, cara_error *err) {
    reading *r = cookie;
    json_error_t trouble;
    json_decref(r->root);
    if (response->body.len) {
        r->root =
            json_loadb(response->body.data, response->body.len, JSON_REJECT_DUPLICATES, &trouble);
        if (!r->root && json_error_code(&trouble) == json_error_out_of_memory)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the answer to %s", r->what);
    } else {
        r->root = json_object();
        if (!r->root)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the answer to %s", r->what);
    }
    if (json_is_object(r->root))
        return CARA_OK;
    return cara_fail(err, CARA_ERR_NETWORK, -1, "%s was answered with something that is not JSON",
                     r->what);
}

int cara_aws_json(cara_aws *aws, cara_aws_call call, json_t *request, json_t **answer,
                  cara_error *err) {
    *answer = NULL;
    reading r = {.what = call.what};
    char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    int had_request = request != NULL;
    json_decref(request);
    if (had_request && !body)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for %s", call.what);
    call.body = body;
    call.body_len = body ? strlen(body) : 0;
    call.check = check;
    call.check_cookie = &r;
    cara_http_response response = {0};
    int rc = cara_aws_do(aws, &call, &response, err);
    cara_http_response_free(&response);
    free(body);
    if (rc)
        json_decref(r.root);
    else
        *answer = r.root;
    return rc;
}

const char *cara_json_text(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}
