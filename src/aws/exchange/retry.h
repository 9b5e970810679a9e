/* The arithmetic of the SDKs' "standard" retry mode (AWS SDKs and Tools Reference Guide, "Retry
 * behavior"): how long to wait, and a bucket of tokens that limits the number of retries. */
#ifndef AWS_RETRY_H
#define AWS_RETRY_H

#define CARA_RETRY_CAPACITY 500
#define CARA_RETRY_COST 5
#define CARA_RETRY_COST_TIMEOUT 10
#define CARA_RETRY_MAX_WAIT_S 20.0

typedef struct cara_retry_bucket {
    int tokens;
} cara_retry_bucket;

void cara_retry_bucket_init(cara_retry_bucket *bucket);
/* What it took, or 0 where too little is left: then there is no retry. */
int cara_retry_bucket_take(cara_retry_bucket *bucket, int timed_out);
/* A call succeeded: gives back what its last retry took, or 1 where it needed none. */
void cara_retry_bucket_success(cara_retry_bucket *bucket, int took);

/* Seconds before the next attempt: random * min(2^retries, 20), and no less than `retry_after_s`
 * (negative: none). -1 where that is more than 20 s: the event will be delivered again later, and
 * until then this process must not wait. */
double cara_retry_delay(int retries, double retry_after_s, double random);

#endif
