#define _DEFAULT_SOURCE /* timegm() */
#include "aws/signing/dates.h"

#include <string.h>
#include <time.h>

typedef struct parts {
    unsigned year, month, day; /* from 1 */
    unsigned hour, minute, second, ms;
} parts;

/* 0, or -1 for what is in no calendar: timegm() would take 31 February for 3 March. */
static int from_parts(const parts *p, int64_t *time_ms) {
    if (p->year < 1970 || p->year > 9999 || p->hour > 23 || p->minute > 59 || p->second > 60)
        return -1;
    struct tm tm = {.tm_year = (int)p->year - 1900,
                    .tm_mon = (int)p->month - 1,
                    .tm_mday = (int)p->day,
                    .tm_hour = (int)p->hour,
                    .tm_min = (int)p->minute};
    time_t minute = timegm(&tm);
    if (tm.tm_mon != (int)p->month - 1 || tm.tm_mday != (int)p->day)
        return -1;
    *time_ms = ((int64_t)minute + p->second) * 1000 + p->ms;
    return 0;
}

/* Exactly n digits at *p, which moves on. */
static int digits(const char **p, int n, unsigned *out) {
    unsigned value = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return -1;
        value = value * 10 + (unsigned)(**p - '0');
    }
    *out = value;
    return 0;
}

static int literal(const char **p, const char *text) {
    size_t n = strlen(text);
    if (strncmp(*p, text, n) != 0)
        return -1;
    *p += n;
    return 0;
}

int cara_time_http(const char *text, int64_t *time_ms) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *p = strchr(text, ',');
    if (!p || p - text != 3)
        return -1;
    p++;
    parts t = {0};
    if (literal(&p, " ") || digits(&p, 2, &t.day) || literal(&p, " ") || strlen(p) < 3)
        return -1;
    for (unsigned m = 0; m < 12; m++)
        if (strncmp(p, months + 3 * m, 3) == 0)
            t.month = m + 1;
    p += 3;
    if (literal(&p, " ") || digits(&p, 4, &t.year) || literal(&p, " ") || digits(&p, 2, &t.hour) ||
        literal(&p, ":") || digits(&p, 2, &t.minute) || literal(&p, ":") ||
        digits(&p, 2, &t.second) || strcmp(p, " GMT") != 0)
        return -1;
    return from_parts(&t, time_ms);
}

int cara_time_iso8601(const char *text, int64_t *time_ms) {
    const char *p = text;
    parts t = {0};
    unsigned hour = 0, minute = 0;
    if (digits(&p, 4, &t.year) || literal(&p, "-") || digits(&p, 2, &t.month) || literal(&p, "-") ||
        digits(&p, 2, &t.day) || (*p != 'T' && *p != 't' && *p != ' '))
        return -1;
    p++;
    if (digits(&p, 2, &t.hour) || literal(&p, ":") || digits(&p, 2, &t.minute) ||
        literal(&p, ":") || digits(&p, 2, &t.second))
        return -1;
    if (*p == '.') {
        unsigned scale = 100;
        for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
            t.ms += (unsigned)(*p - '0') * scale;
    }
    int sign = *p == '-' ? -1 : 1;
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else if (*p == '+' || *p == '-') {
        p++;
        if (digits(&p, 2, &hour))
            return -1;
        p += *p == ':';
        if (digits(&p, 2, &minute) || hour > 23 || minute > 59)
            return -1;
    } else {
        return -1;
    }
    if (*p || from_parts(&t, time_ms))
        return -1;
    *time_ms -= sign * ((int64_t)hour * 3600000 + (int64_t)minute * 60000);
    return 0;
}
