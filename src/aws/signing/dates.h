/* Dates as AWS and HTTP write them; always UTC, the proleptic Gregorian calendar. */
#ifndef AWS_DATES_H
#define AWS_DATES_H

#include <stdint.h>

typedef struct cara_utc {
    int year;
    unsigned month, day; /* from 1 */
    unsigned hour, minute, second, ms;
} cara_utc;

/* 0, or -1 outside the years 1970 to 9999. */
int cara_utc_of(int64_t time_ms, cara_utc *out);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110's only date that may be sent). 0 or -1. */
int cara_time_http(const char *text, int64_t *time_ms);

/* "2015-08-30T12:36:00Z", also with a fraction or an offset like +00:00. 0 or -1. */
int cara_time_iso8601(const char *text, int64_t *time_ms);

#endif
