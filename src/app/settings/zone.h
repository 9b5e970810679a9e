/* The time zone that dates in keys follow: UTC unless the user names another. */
#ifndef APP_ZONE_H
#define APP_ZONE_H

#include "base/error.h"

#include <stdint.h>
#include <time.h>

/* Sets the process's zone: `name` if given (`setting` is what messages call it), else $TZ, else UTC
 * (never /etc/localtime: the same event must get the same key on every machine). `name` is an IANA
 * name such as "America/Mazatlan", with or without a leading ':'. For the start of a program,
 * before it has threads: it sets $TZ. USAGE for a name that this machine's zone files ($TZDIR, else
 * /usr/share/zoneinfo) lack; the C library alone would take such a name for UTC and report nothing.
 */
int cara_zone_set(const char *name, const char *setting, cara_error *err);

/* A cara_local_time_fn in that zone. */
int cara_zone_local_time(int64_t t, struct tm *out);

#endif
