/* What is fed to a decoder. */
#ifndef WHISPER_RUN_H
#define WHISPER_RUN_H

#include <stddef.h>
#include <stdint.h>

/* Tokens [n], n > 0, to feed to a slot behind what it holds; each sees those before it. */
typedef struct cara_run {
    int slot; /* at most once in a call */
    const int32_t *tokens;
    size_t n;
} cara_run;

#endif
