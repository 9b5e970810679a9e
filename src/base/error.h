/* Setting a caller's cara_error; see <caracola/error.h> for the rules. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <caracola/error.h>
#include <stdarg.h>

/* Fills *err (may be NULL) and returns `code`, so that a failing function ends with
 * `return cara_fail(err, ...)`. `position` is a byte offset, or -1. */
int cara_fail(cara_error *err, cara_code code, int64_t position, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same from errno: "<what>: <strerror>". Picks NOT_FOUND, MEMORY or IO. */
int cara_fail_errno(cara_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* USAGE for an argument that must not be NULL: "<function>() was given NULL as <argument>". */
int cara_fail_null(cara_error *err, const char *function, const char *argument);

/* A message may name an option of the public structs as its first word ("best_of is 70; ...") or in
 * its last clause ("...; raise max_seconds"). This puts name(option) there, the name that the user
 * of a program knows. Where that is NULL, the first word stays and the last clause is left out. */
void cara_error_name_options(cara_error *err, const char *(*name)(void *cookie, const char *option),
                             void *cookie);

/* Puts "<prefix>: " before the text that *err holds (a file name, a tensor); keeps the code. */
void cara_error_prefix(cara_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
