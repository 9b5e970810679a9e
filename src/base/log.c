#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void cara_log_line(const cara_log *log, cara_log_level level, const char *format, ...) {
    if (!log || !log->write || level < log->level)
        return;
    char line[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    log->write(log->cookie, level, line);
}
