/* The checks of `caracola doctor`, set up from the environment: here, and inside the function. */
#ifndef APP_EXAMINE_H
#define APP_EXAMINE_H

#include "app/app.h"
#include "doctor/doctor.h"

/* What both have in common: CARACOLA_MODEL_SHA256, _MODEL_SOURCE, _VOCAB, _LANGUAGE, _CPU and
 * _STORE into *doctor, which flags may replace. */
void cara_examine_environment(cara_doctor *doctor);

/* All checks that apply, with an engine of their own for `model` (see cara_model_choose()).
 * CARACOLA_THREADS is taken. `named`: a flag names something on AWS. doctor->checkup gets the
 * findings. USAGE, MEMORY: nothing was checked. */
int cara_examine(cara_doctor *doctor, const char *model, int named, cara_error *err);

/* The checks of the stack doctor->stack, and of nothing on this machine: neither its model nor the
 * store and queue of its environment. */
void cara_examine_stack(cara_doctor *doctor);

/* What a function answers to {"caracola":"doctor"[, "phone": "phone-number-id-..."]}: checks of
 * itself and of what its own role may do. *answer is the caller's. MEMORY. */
int cara_examine_function(cara_app *app, const json_t *event, double left_s, json_t **answer,
                          cara_error *err);

#endif
