/* Log lines go to a sink that the caller owns; nothing here is global. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

typedef enum cara_log_level {
    CARA_LOG_DEBUG,
    CARA_LOG_INFO,
    CARA_LOG_WARN,
    CARA_LOG_ERROR
} cara_log_level;

typedef struct cara_log {
    cara_log_level level; /* lines below it are dropped */
    /* `line` is one sentence without newline, borrowed for the call. */
    void (*write)(void *cookie, cara_log_level level, const char *line);
    void *cookie;
} cara_log;

/* `log` may be NULL. */
void cara_log_line(const cara_log *log, cara_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
