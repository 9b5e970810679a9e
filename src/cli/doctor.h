/* `caracola doctor`, and the same inside the function. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "app/app.h"

/* What a function answers to {"caracola":"doctor"[, "phone": "phone-number-id-..."]}: checks of
 * itself and of what its own role may do. *answer is the caller's. MEMORY. */
int cara_cli_doctor_answer(cara_app *service, const json_t *event, double left_s, json_t **answer,
                           cara_error *err);

#endif
