/* Settings from environment variables, and the values that flags share with them. */
#ifndef APP_ENVIRONMENT_H
#define APP_ENVIRONMENT_H

#include "base/error.h"

/* The environment variable's value; NULL where it is unset or empty. */
const char *cara_env(const char *name);

/* Threads to use: CARACOLA_THREADS, else the number of processors that Lambda gives for the
 * function's memory, else 0, all there are. USAGE. */
int cara_env_threads(int *threads, cara_error *err);

/* "auto", "full" or a number of positions, as cara_options.audio_ctx; -1 where it is none. */
int cara_audio_ctx_parse(const char *text, int *out);

#endif
