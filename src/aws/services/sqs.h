/* Amazon SQS by its JSON protocol (Amazon SQS API Reference). */
#ifndef AWS_SQS_H
#define AWS_SQS_H

#include "aws/client/client.h"

#define CARA_SQS_BATCH 10 /* most messages in one call */

typedef struct cara_sqs_message {
    const char *id;
    const char *receipt; /* what deletes it, or changes its visibility */
    const char *body;
    size_t body_len;
    int64_t receive_count; /* ApproximateReceiveCount, or 0 where not said */
    int64_t sent_ms;       /* SentTimestamp, since 1970 UTC; 0 where not said */
} cara_sqs_message;

typedef struct cara_sqs_messages {
    cara_sqs_message items[CARA_SQS_BATCH];
    size_t n;
    void *memory; /* owns the texts */
} cara_sqs_messages;

/* Waits up to `wait_s` (0 to 20) for at least one message, takes at most `most` (1 to 10) and hides
 * each for `visibility_s` (negative: the queue's own setting). None is a success with n == 0. A
 * body that does not match its MD5 is NETWORK after the usual attempts. On success the caller frees
 * *out with cara_sqs_messages_free(); on failure it is empty. USAGE: the URL is none. */
int cara_sqs_receive(cara_aws *aws, const char *queue_url, int most, int wait_s, int visibility_s,
                     cara_sqs_messages *out, cara_error *err);
void cara_sqs_messages_free(cara_sqs_messages *messages);

int cara_sqs_delete(cara_aws *aws, const char *queue_url, const char *receipt, cara_error *err);

/* Hidden for `visibility_s` (0 to 43,200) from now on; 0 makes it visible at once. */
int cara_sqs_change_visibility(cara_aws *aws, const char *queue_url, const char *receipt,
                               int visibility_s, cara_error *err);

typedef struct cara_sqs_queue {
    int64_t waiting, in_work; /* messages, approximately */
    int visibility_s, retention_s;
    int max_receives;       /* of its redrive policy; 0: it has none */
    char dead_letters[256]; /* ARN of the queue they go to; "" where it has none */
} cara_sqs_queue;

/* GetQueueAttributes. DENIED where there is no such queue, as for every call. */
int cara_sqs_attributes(cara_aws *aws, const char *queue_url, cara_sqs_queue *out, cara_error *err);

/* "https://sqs.us-east-1.amazonaws.com/111122223333/name" of "arn:aws:sqs:...", as AWS forms them
 * for that Region. 0; -1 for what is no ARN of a queue, or too long. */
int cara_sqs_url_of(const char *arn, char *url, size_t size);

#endif
