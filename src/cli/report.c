/* Messages, exit codes, signals and the end of standard output. */
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/named.h"
#include "cli/progress.h"
#include "cli/shown.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

const cara_cli_status cara_cli_statuses[] = {
    {CARA_EXIT_OK, "done"},
    {CARA_EXIT_SOME, "some inputs failed, the others were done; doctor: it works, with warnings"},
    {CARA_EXIT_USAGE, "usage: a flag, value or command that does not exist or fit"},
    {CARA_EXIT_AUDIO, "audio could not be read"},
    {CARA_EXIT_MODEL, "the model or its vocabulary could not be used"},
    {CARA_EXIT_FILES, "a file, folder, store or standard output failed"},
    {CARA_EXIT_EVENT, "an event could not be understood"},
    {CARA_EXIT_REMOTE, "the network or a remote service failed"},
    {CARA_EXIT_DOCTOR, "doctor found something missing or broken"},
    {CARA_EXIT_INTERNAL, "a defect of caracola's, or no memory"},
    {CARA_EXIT_INTERRUPTED, "interrupted; what was finished is kept"},
    {0, NULL},
};

cara_exit cara_cli_exit_for(int code) {
    switch ((cara_code)code) {
    case CARA_OK:
        return CARA_EXIT_OK;
    case CARA_ERR_USAGE:
    case CARA_ERR_CPU:
        return CARA_EXIT_USAGE;
    case CARA_ERR_AUDIO_FORMAT:
    case CARA_ERR_AUDIO_CORRUPT:
    case CARA_ERR_AUDIO_LIMIT:
    case CARA_ERR_AUDIO_MODULE:
        return CARA_EXIT_AUDIO;
    case CARA_ERR_MODEL_FORMAT:
    case CARA_ERR_MODEL_CORRUPT:
    case CARA_ERR_MODEL_SHAPE:
    case CARA_ERR_VOCAB:
        return CARA_EXIT_MODEL;
    case CARA_ERR_IO:
    case CARA_ERR_NOT_FOUND:
    case CARA_ERR_LIMIT:
    case CARA_ERR_STORE:
    case CARA_ERR_CONFLICT:
        return CARA_EXIT_FILES;
    case CARA_ERR_EVENT:
        return CARA_EXIT_EVENT;
    case CARA_ERR_NETWORK:
    case CARA_ERR_DENIED:
        return CARA_EXIT_REMOTE;
    case CARA_ERR_CANCELLED:
        return CARA_EXIT_INTERRUPTED;
    case CARA_ERR_MEMORY:
    case CARA_ERR_INTERNAL:
        break;
    }
    return CARA_EXIT_INTERNAL;
}

/* One line whatever the names in it hold. */
__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list ap) {
    char text[16 * 1024], safe[sizeof text];
    if (vsnprintf(text, sizeof text, format, ap) < 0)
        return;
    cara_cli_shown(text, safe, sizeof safe);
    const char *bold = cara_cli_colours(stderr) ? "\033[1m" : "";
    cara_cli_progress_hold();
    fprintf(stderr, "%scaracola:%s %s\n", bold, *bold ? "\033[0m" : "", safe);
    cara_cli_progress_release();
}

cara_exit cara_cli_fail(cara_exit status, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    say(format, ap);
    va_end(ap);
    return status;
}

cara_exit cara_cli_fail_error(const cara_error *err) {
    cara_error named = *err;
    cara_cli_name(&named);
    return cara_cli_fail(cara_cli_exit_for(err->code), "%s", named.text);
}

void cara_cli_remark(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    say(format, ap);
    va_end(ap);
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    if (interrupted) { /* the second one, of either kind, ends the process at once */
        signal(number, SIG_DFL);
        raise(number);
    }
    interrupted = 1;
}

void cara_cli_catch_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    static const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction before;
        /* The process that started us in the background may have set it to be ignored; then it
         * stays so. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

int cara_cli_interrupted(void) {
    return interrupted != 0;
}

int cara_cli_print_json(json_t *value, cara_json_style style) {
    cara_buf text;
    cara_buf_init(&text, CARA_LIMIT_RESULT_BYTES);
    int rc = cara_json_write(value, style, &text);
    if (!rc)
        rc = cara_buf_char(&text, '\n');
    if (!rc)
        fwrite(text.data, 1, text.len, stdout);
    cara_buf_free(&text);
    json_decref(value);
    return rc;
}

cara_exit cara_cli_flush_stdout(void) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CARA_EXIT_OK;
    int saved = errno;
    clearerr(stdout);
    char reason[128] = "write error";
    if (saved != 0 && strerror_r(saved, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", saved);
    return cara_cli_fail(CARA_EXIT_FILES, "standard output: %s", reason);
}
