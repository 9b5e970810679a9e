/* An installation in an AWS account: what is there, what is requested, and the change from one to
 * the other. */
#ifndef DEPLOY_DEPLOY_H
#define DEPLOY_DEPLOY_H

#include "aws/client/client.h"
#include "deploy/deploy_settings.h"
#include "deploy/package/package.h"
#include "deploy/upload.h"

#include <caracola/model.h>

#define CARA_DEPLOY_STACK "caracola"

/* Everything is borrowed. */
typedef struct cara_deploy_request {
    const char *stack;                   /* name; the bootstrap stack is "<stack>-bootstrap" */
    const char *values[CARA_N_SETTINGS]; /* NULL: as it is now, else the template's default */
    const char *zip, *image;             /* the package; both NULL: the one that is there */
    const char *model;                   /* a .cara; NULL: the one that is there */
    const char *waba;                    /* the WhatsApp account; NULL: the only one */
    int no_link;                         /* 1: leave event destinations alone */
    int take_over; /* 1: take the account's events from the destination that has them */
    const char *skopeo;
    json_t *tags; /* [{Key, Value}, ...] for all resources; NULL: as they are */
} cara_deploy_request;

enum { CARA_DEPLOY_ACCOUNTS = 20 };

typedef struct cara_deploy_account {
    char id[120];  /* "waba-..." */
    char meta[40]; /* Meta's id */
    char name[120];
    char destination[300]; /* where its events go now; "": nowhere */
} cara_deploy_account;

/* The model of the request, once it was opened. */
typedef struct cara_deploy_model {
    char name[48], compute_type[12];
    int64_t bytes; /* 0: it was not opened */
    cara_dims dims;
} cara_deploy_model;

typedef struct cara_deploy {
    cara_awscli cli;
    cara_progress progress;
    cara_aws *aws; /* our own client, for what the CLI of 2.9 does not know */
    cara_deploy_request request;
    char bootstrap_name[140];
    char owner[20]; /* the AWS account's number */
    cara_stack bootstrap, stack;
    cara_deploy_account accounts[CARA_DEPLOY_ACCOUNTS];
    size_t n_accounts;
    char phone[40]; /* where to send a test message, once linked */

    /* ---- what the checks have found ---- */
    int wrong_place;      /* AWS did not know the caller in this Region, or did not answer */
    cara_package package; /* of request.zip or request.image; kind NULL: none was read */
    cara_buf zones;       /* its time zones, one a line; empty: not looked at */
    cara_deploy_model model;
    int limits_known;       /* of Lambda: */
    long limit, unreserved; /* functions at once in this account and Region; those not reserved */
    char good_bucket[64];   /* a bucket of request.values that may be used */
} cara_deploy;

/* Reads, without changing anything, the caller's identity, the stacks and (unless request->no_link)
 * the WhatsApp accounts. Close it in any case. As cara_awscli_open(), and DENIED, NETWORK. */
int cara_deploy_open(cara_deploy *d, const cara_awscli_options *options,
                     const cara_progress *progress, const cara_deploy_request *request,
                     cara_error *err);
void cara_deploy_close(cara_deploy *d);

/* A setting as it will be: requested, else deployed, else the template's default. Never NULL. */
const char *cara_deploy_value(const cara_deploy *d, cara_setting_id id);
/* 1 where the setting has an effect, with the others as they will be. */
int cara_deploy_applies(const cara_deploy *d, cara_setting_id id);
/* A few words: how long messages, and what is deleted or replaced of them, will be kept. */
void cara_deploy_retention(const cara_deploy *d, char *dst, size_t size);
/* "zip" or "image": what is to run; NULL where nothing was named and nothing is there. */
const char *cara_deploy_package(const cara_deploy *d);

/* 1 where the file at `path` begins as a zip does. */
int cara_deploy_is_zip(const char *path);

/* Checks before anything is changed, each of one answer as it will be, against the others and what
 * AWS says; sentences name the flag. What was found is kept in *d. USAGE, NOT_FOUND, IO; MODEL_*
 * and VOCAB of a model; DENIED, NETWORK, MEMORY, CANCELLED. */
int cara_deploy_check_package(cara_deploy *d, cara_error *err);
int cara_deploy_check_model(cara_deploy *d, cara_error *err);
int cara_deploy_check_setting(cara_deploy *d, cara_setting_id id, cara_error *err);
int cara_deploy_check_bucket(cara_deploy *d, const char *bucket, cara_error *err);
/* All of them, and the WhatsApp account. */
int cara_deploy_check(cara_deploy *d, cara_error *err);
/* 1 where what will run has no model but the demo model, as far as is known here. */
int cara_deploy_is_toy(const cara_deploy *d);

/* Carries the request out: bootstrap stack, uploads, stack, model on EFS, event destination. */
int cara_deploy_run(cara_deploy *d, cara_error *err);

/* Has the function copy the model to its file system; one that is there already is left alone. */
int cara_deploy_fill(cara_deploy *d, cara_error *err);

/* The WhatsApp account of the request, or NULL (*err then says why). */
const cara_deploy_account *cara_deploy_find_account(const cara_deploy *d, cara_error *err);
/* 1 where its events go to another destination now. */
int cara_deploy_has_other_destination(const cara_deploy *d, const cara_deploy_account *account);
int cara_deploy_refuse_other_destination(const cara_deploy_account *account,
                                         cara_error *err); /* USAGE */
/* Points its events to the topic, and finds the number to write to. */
int cara_deploy_link(cara_deploy *d, const char *topic_arn, cara_error *err);

/* 1 where the address of the setting `email` has confirmed its subscription to alarms; 0 also where
 * that cannot be seen. */
int cara_deploy_mail_is_confirmed(cara_deploy *d);

/* Removes the installation: unlinks, deletes both stacks; with `delete_buckets` also what is in
 * the buckets that they made. */
int cara_deploy_teardown(cara_deploy *d, int delete_buckets, cara_error *err);

#endif
