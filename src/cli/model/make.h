/* What commands that write models share; the commands `model random` and `model fetch`. */
#ifndef CLI_MODEL_MAKE_H
#define CLI_MODEL_MAKE_H

#include "cli/cli.h"
#include "model/model.h"

/* The value of --compute_type, a choice of "int8 float16 bfloat16 float32". 0, or -1 after saying
 * what it takes. */
int cara_cli_storage(const cara_cli_args *args, cara_storage *out);
const char *cara_cli_storage_name(cara_storage storage);

/* The value of --threads, at least 1. */
int cara_cli_threads(const cara_cli_args *args, int *out);

/* Says why `out` was not written; returns the exit status. */
cara_exit cara_cli_model_not_written(const char *out, const cara_error *err);

extern const cara_cli_command cara_command_model_random, cara_command_model_fetch;

#endif
