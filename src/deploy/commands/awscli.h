/* The AWS CLI as a child process: Debian 12's 2.9 and anything newer.
 *
 * Endpoints come from the variables and profiles that our own client reads (aws/settings/config.h)
 * and are passed by --endpoint-url, since the CLI of 2.9 does not read them. Long or secret values
 * never stand on its command line: they go through files in a private folder, or through pipes. */
#ifndef DEPLOY_AWSCLI_H
#define DEPLOY_AWSCLI_H

#include "aws/settings/config.h"
#include "deploy/commands/child.h"
#include "json/json.h"

extern const cara_aws_service cara_service_ecr;

typedef struct cara_awscli_options {
    const char *program; /* NULL: "aws", by PATH */
    const char *region;  /* NULL: as config.h finds it */
    const char *profile; /* NULL: likewise */
    int (*stop)(void *cookie);
    void *cookie;
} cara_awscli_options;

typedef struct cara_awscli {
    char program[1024];
    cara_aws_config config;
    const char *region;  /* never NULL once open */
    const char *profile; /* NULL: not named by a flag */
    char folder[64];     /* private, for files that go to the CLI; removed by close */
    cara_awscli_options options;
} cara_awscli;

/* What the service said; "" where the failure was not the service's. */
typedef struct cara_awscli_fault {
    char code[80];
    char message[400];
} cara_awscli_fault;

/* Texts of `options` are borrowed for its life. On failure there is nothing to close.
 * NOT_FOUND: no such program; USAGE: no Region, or settings that cannot be meant; IO, MEMORY. */
int cara_awscli_open(cara_awscli *cli, const cara_awscli_options *options, cara_error *err);
void cara_awscli_close(cara_awscli *cli);

/* Writes a file into the private folder; its path goes into dst. */
int cara_awscli_file(const cara_awscli *cli, const char *name, const void *bytes, size_t n,
                     char *dst, size_t size, cara_error *err);

enum { CARA_AWSCLI_ARGS = 40 };

/* Runs `aws <args>` (ends with NULL) with Region, profile and endpoint, and reads the JSON that it
 * prints into *answer (may be NULL), which the caller gives back with json_decref(); nothing
 * printed is an empty object. `fault` may be NULL.
 * NETWORK: the service throttles, fails or does not answer; DENIED: it refuses, or there are no
 * credentials; NOT_FOUND, USAGE, CANCELLED, IO, MEMORY. */
int cara_awscli_json(const cara_awscli *cli, const cara_aws_service *service,
                     const char *const *args, json_t **answer, cara_awscli_fault *fault,
                     cara_error *err);

/* The same for commands that print something else than JSON; *result is the caller's to free in
 * any case. `seen` as cara_child_spec has it. */
int cara_awscli_run(const cara_awscli *cli, const cara_aws_service *service,
                    const char *const *args, size_t max_output,
                    void (*seen)(void *cookie, const char *bytes, size_t n), void *cookie,
                    cara_child_result *result, cara_awscli_fault *fault, cara_error *err);

/* Takes "An error occurred (Code) when calling the X operation: message" apart; 1 where it is one.
 * Exposed for tests. */
int cara_awscli_fault_read(const char *text, cara_awscli_fault *fault);

#endif
