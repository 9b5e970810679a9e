/* Calls of the services with a JSON protocol. */
#ifndef AWS_JSON_CALL_H
#define AWS_JSON_CALL_H

#include "aws/client/client.h"
#include "json/json.h"

/* Sends `request` (may be NULL: no body; its reference is released in any case) by `call`, whose
 * body and check are set here, and reads the answer into *answer, which the caller releases with
 * json_decref(); an empty answer is an empty object. As cara_aws_do(); an answer that is no JSON
 * object is NETWORK after the usual attempts. */
int cara_aws_json(cara_aws *aws, cara_aws_call call, json_t *request, json_t **answer,
                  cara_error *err);

#endif
