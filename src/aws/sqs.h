/* Amazon SQS by its JSON protocol (Amazon SQS API Reference). */
#ifndef AWS_SQS_H
#define AWS_SQS_H

#include "aws/client.h"

#define CARA_SQS_BATCH 10 /* most messages in one call */

typedef struct cara_sqs_message {
    const char *id;
    const char *receipt; /* what deletes it, or changes its visibility */
    const char *body;
    size_t body_len;
    int64_t receive_count; /* ApproximateReceiveCount, or 0 where not said */
} cara_sqs_message;

typedef struct cara_sqs_messages {
    cara_sqs_message items[CARA_SQS_BATCH];
    size_t n;
    void *memory; /* what the texts live in */
} cara_sqs_messages;

/* Waits up to `wait_s` (0 to 20) for at least one message, takes at most `most` (1 to 10) and hides
 * each for `visibility_s` (negative: the queue's own setting). None is a success with n == 0. A
 * body that does not match its MD5 is NETWORK after the usual attempts. On success the caller frees
 * *out with cara_sqs_messages_free(); on failure it is empty. USAGE: the URL is none. */
int cara_sqs_receive(cara_aws *aws, const char *queue_url, int most, int wait_s, int visibility_s,
                     cara_sqs_messages *out, cara_error *err);
void cara_sqs_messages_free(cara_sqs_messages *messages);

int cara_sqs_delete(cara_aws *aws, const char *queue_url, const char *receipt, cara_error *err);

/* Up to 10 at once. failed[i] (may be NULL) tells which were not deleted, when the call as a whole
 * was a success; *n_failed counts them. */
int cara_sqs_delete_batch(cara_aws *aws, const char *queue_url, const char *const *receipts,
                          size_t n, int *failed, size_t *n_failed, cara_error *err);

/* Hidden for `visibility_s` (0 to 43,200) from now on; 0 hands it back at once. */
int cara_sqs_change_visibility(cara_aws *aws, const char *queue_url, const char *receipt,
                               int visibility_s, cara_error *err);
int cara_sqs_change_visibility_batch(cara_aws *aws, const char *queue_url,
                                     const char *const *receipts, size_t n, int visibility_s,
                                     int *failed, size_t *n_failed, cara_error *err);

#endif
