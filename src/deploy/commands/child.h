/* Child processes: no shell, bounded output, a time limit, and an end when the user asks for it. */
#ifndef DEPLOY_CHILD_H
#define DEPLOY_CHILD_H

#include "base/error.h"
#include "base/memory/buf.h"

/* Everything is borrowed for the call. */
typedef struct cara_child_spec {
    const char *program;      /* a path, as cara_child_find() gives it */
    const char *const *argv;  /* ends with NULL; argv[0] is the name shown in sentences */
    const char *const *extra; /* "NAME=value", set over our own environment; NULL: none */
    const void *input;        /* its standard input; NULL: /dev/null */
    size_t n_input;
    size_t max_output; /* of standard output; more ends it with MEMORY */
    double timeout_s;  /* 0: none */
    /* Polled some ten times a second; non-zero ends it with CANCELLED. May be NULL. */
    int (*stop)(void *cookie);
    void *stop_cookie;
    /* Sees its standard output as it comes, for progress; may be NULL. */
    void (*seen)(void *cookie, const char *bytes, size_t n);
    void *seen_cookie;
} cara_child_spec;

typedef struct cara_child_result {
    cara_buf out;   /* standard output */
    char err[4096]; /* the end of standard error, NUL-terminated */
    size_t n_err;
    int status; /* exit status; 128 + n where signal n ended it */
} cara_child_result;

/* Writes the path of `name` into dst: the name itself where it has a '/', else by PATH. NOT_FOUND.
 */
int cara_child_find(const char *name, char *dst, size_t size, cara_error *err);

/* Runs it to its end. CARA_OK says that it ran, whatever its status. It leads a process group of
 * its own, so that Ctrl-C on the terminal comes to us; a child that we end early gets SIGINT, and
 * SIGKILL five seconds later. The result is freed by cara_child_free() in any case. NOT_FOUND, IO:
 * cannot be started; NETWORK: took too long; CANCELLED; MEMORY. */
int cara_child_run(const cara_child_spec *spec, cara_child_result *result, cara_error *err);
void cara_child_free(cara_child_result *result); /* wipes what it printed */

#endif
