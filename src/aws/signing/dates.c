#include "aws/signing/dates.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)

/* Days since 1970-01-01 of a date, and back; years are counted from March, so that the leap day
 * ends one. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
static int64_t days_of(int year, unsigned month, unsigned day) {
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int cara_utc_of(int64_t time_ms, cara_utc *out) {
    if (time_ms < 0 || time_ms > INT64_C(253402300799999))
        return -1;
    int64_t z = time_ms / DAY_MS + 719468, rest = time_ms % DAY_MS;
    int64_t era = z / 146097, of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    out->day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
    out->month = (unsigned)(m < 10 ? m + 3 : m - 9);
    out->year = (int)(y + era * 400 + (out->month <= 2));
    out->hour = (unsigned)(rest / 3600000);
    out->minute = (unsigned)(rest / 60000 % 60);
    out->second = (unsigned)(rest / 1000 % 60);
    out->ms = (unsigned)(rest % 1000);
    return 0;
}

static int month_days(int year, unsigned month) {
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static int from_parts(const cara_utc *t, int64_t *time_ms) {
    if (t->year < 1970 || t->year > 9999 || t->month < 1 || t->month > 12 || t->day < 1 ||
        t->day > (unsigned)month_days(t->year, t->month) || t->hour > 23 || t->minute > 59 ||
        t->second > 60)
        return -1;
    *time_ms = days_of(t->year, t->month, t->day) * DAY_MS + (int64_t)t->hour * 3600000 +
               (int64_t)t->minute * 60000 + (int64_t)t->second * 1000 + t->ms;
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
    cara_utc t = {0};
    unsigned year;
    if (literal(&p, " ") || digits(&p, 2, &t.day) || literal(&p, " ") || strlen(p) < 3)
        return -1;
    for (unsigned m = 0; m < 12; m++)
        if (strncmp(p, months + 3 * m, 3) == 0)
            t.month = m + 1;
    p += 3;
    if (literal(&p, " ") || digits(&p, 4, &year) || literal(&p, " ") || digits(&p, 2, &t.hour) ||
        literal(&p, ":") || digits(&p, 2, &t.minute) || literal(&p, ":") ||
        digits(&p, 2, &t.second) || strcmp(p, " GMT") != 0)
        return -1;
    t.year = (int)year;
    return from_parts(&t, time_ms);
}

int cara_time_iso8601(const char *text, int64_t *time_ms) {
    const char *p = text;
    cara_utc t = {0};
    unsigned year, hour = 0, minute = 0;
    if (digits(&p, 4, &year) || literal(&p, "-") || digits(&p, 2, &t.month) || literal(&p, "-") ||
        digits(&p, 2, &t.day) || (*p != 'T' && *p != 't' && *p != ' '))
        return -1;
    p++;
    if (digits(&p, 2, &t.hour) || literal(&p, ":") || digits(&p, 2, &t.minute) ||
        literal(&p, ":") || digits(&p, 2, &t.second))
        return -1;
    t.year = (int)year;
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
