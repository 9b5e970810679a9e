#include "app/settings/environment.h"

#include "base/limits.h"
#include "pipeline/service/lambda.h"

#include <caracola/transcribe.h>
#include <stdlib.h>
#include <string.h>

const char *cara_env(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

int cara_env_threads(int *threads, cara_error *err) {
    const char *text = cara_env("CARACOLA_THREADS");
    *threads = cara_lambda_threads(cara_env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    if (!text)
        return CARA_OK;
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 0 || n > CARA_LIMIT_THREADS)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "CARACOLA_THREADS takes a number from 0 to %d, got \"%.32s\"",
                         CARA_LIMIT_THREADS, text);
    *threads = (int)n;
    return CARA_OK;
}

int cara_audio_ctx_parse(const char *text, int *out) {
    char *end = NULL;
    long n = strtol(text, &end, 10);
    if (strcmp(text, "full") == 0)
        *out = CARA_AUDIO_CTX_FULL;
    else if (strcmp(text, "auto") == 0)
        *out = CARA_AUDIO_CTX_AUTO;
    else if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && n >= 1 && n <= 1500)
        *out = (int)n;
    else
        return -1;
    return 0;
}
