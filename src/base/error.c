#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Newlines and control bytes would break the promise of one line. */
static void one_line(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

__attribute__((format(printf, 4, 0))) static int
fill(cara_error *err, cara_code code, int64_t position, const char *format, va_list ap) {
    if (err) {
        err->code = code;
        err->position = position;
        memset(err->reserved, 0, sizeof err->reserved);
        vsnprintf(err->text, sizeof err->text, format, ap);
        one_line(err->text);
    }
    return code;
}

int cara_fail(cara_error *err, cara_code code, int64_t position, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    fill(err, code, position, format, ap);
    va_end(ap);
    return code;
}

int cara_fail_errno(cara_error *err, const char *format, ...) {
    int saved = errno;
    cara_code code = saved == ENOENT || saved == ENOTDIR ? CARA_ERR_NOT_FOUND
                     : saved == ENOMEM                   ? CARA_ERR_MEMORY
                                                         : CARA_ERR_IO;
    char what[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    char reason[128];
    if (strerror_r(saved, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", saved);
    return cara_fail(err, code, -1, "%s: %s", what, reason);
}

int cara_fail_null(cara_error *err, const char *function, const char *argument) {
    return cara_fail(err, CARA_ERR_USAGE, -1, "%s() was given NULL as %s", function, argument);
}

/* 1 where text[0..n) can only be the name of an option: lower-case words that "_" joins. */
static int is_option(const char *text, size_t n) {
    int joined = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '_')
            joined = i > 0;
        else if (text[i] < 'a' || text[i] > 'z')
            return 0;
    }
    return joined;
}

void cara_error_name_options(cara_error *err, const char *(*name)(void *cookie, const char *option),
                             void *cookie) {
    char option[64], rest[sizeof err->text];
    char *clause = NULL;
    for (char *p = err->text; (p = strstr(p, "; ")); p++)
        clause = p;
    char *last = clause ? strrchr(clause, ' ') + 1 : NULL;
    if (last && strlen(last) < sizeof option && is_option(last, strlen(last))) {
        snprintf(option, sizeof option, "%s", last);
        const char *known = name(cookie, option);
        if (known)
            snprintf(last, (size_t)(err->text + sizeof err->text - last), "%s", known);
        else
            *clause = '\0';
    }
    size_t n = strcspn(err->text, " ");
    if (n < sizeof option && is_option(err->text, n)) {
        snprintf(option, sizeof option, "%.*s", (int)n, err->text);
        const char *known = name(cookie, option);
        snprintf(rest, sizeof rest, "%s", err->text + n);
        if (known)
            snprintf(err->text, sizeof err->text, "%s%.*s", known,
                     (int)(sizeof err->text - 1 - strlen(known)), rest);
    }
}

void cara_error_prefix(cara_error *err, const char *format, ...) {
    if (!err)
        return;
    char text[sizeof err->text];
    memcpy(text, err->text, sizeof text);
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof err->text - 3)
        return;
    snprintf(err->text + n, sizeof err->text - (size_t)n, ": %.*s",
             (int)(sizeof err->text - (size_t)n - 3), text);
    one_line(err->text);
}

const char *cara_code_name(cara_code code) {
    switch (code) {
    case CARA_OK:
        return "ok";
    case CARA_ERR_USAGE:
        return "usage";
    case CARA_ERR_MEMORY:
        return "memory";
    case CARA_ERR_IO:
        return "io";
    case CARA_ERR_NOT_FOUND:
        return "not_found";
    case CARA_ERR_LIMIT:
        return "limit";
    case CARA_ERR_AUDIO_FORMAT:
        return "audio_format";
    case CARA_ERR_AUDIO_CORRUPT:
        return "audio_corrupt";
    case CARA_ERR_AUDIO_LIMIT:
        return "audio_limit";
    case CARA_ERR_AUDIO_MODULE:
        return "audio_module";
    case CARA_ERR_MODEL_FORMAT:
        return "model_format";
    case CARA_ERR_MODEL_CORRUPT:
        return "model_corrupt";
    case CARA_ERR_MODEL_SHAPE:
        return "model_shape";
    case CARA_ERR_VOCAB:
        return "vocab";
    case CARA_ERR_CPU:
        return "cpu";
    case CARA_ERR_CANCELLED:
        return "cancelled";
    case CARA_ERR_EVENT:
        return "event";
    case CARA_ERR_STORE:
        return "store";
    case CARA_ERR_NETWORK:
        return "network";
    case CARA_ERR_DENIED:
        return "denied";
    case CARA_ERR_CONFLICT:
        return "conflict";
    case CARA_ERR_INTERNAL:
        break;
    }
    return "internal";
}
