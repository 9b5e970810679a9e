/* Dates as AWS and HTTP write them, as milliseconds since 1970 UTC; years 1970 to 9999. */
#ifndef AWS_DATES_H
#define AWS_DATES_H

#include <stdint.h>

#define CARA_TIME_MAX_MS INT64_C(253402300799999) /* the last one of the year 9999 */

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110's only date that may be sent). 0 or -1. */
int cara_time_http(const char *text, int64_t *time_ms);

/* "2015-08-30T12:36:00Z", also with a fraction or an offset like +00:00. 0 or -1. */
int cara_time_iso8601(const char *text, int64_t *time_ms);

#endif
