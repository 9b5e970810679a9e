#include "aws/exchange/retry.h"

void cara_retry_bucket_init(cara_retry_bucket *bucket) {
    bucket->tokens = CARA_RETRY_CAPACITY;
}

int cara_retry_bucket_take(cara_retry_bucket *bucket, int timed_out) {
    int cost = timed_out ? CARA_RETRY_COST_TIMEOUT : CARA_RETRY_COST;
    if (bucket->tokens < cost)
        return 0;
    bucket->tokens -= cost;
    return cost;
}

void cara_retry_bucket_success(cara_retry_bucket *bucket, int took) {
    bucket->tokens += took > 0 ? took : 1;
    if (bucket->tokens > CARA_RETRY_CAPACITY)
        bucket->tokens = CARA_RETRY_CAPACITY;
}

double cara_retry_delay(int retries, double retry_after_s, double random) {
    if (retry_after_s > CARA_RETRY_MAX_WAIT_S)
        return -1;
    double most = retries < 5 ? (double)(1 << retries) : CARA_RETRY_MAX_WAIT_S;
    if (most > CARA_RETRY_MAX_WAIT_S)
        most = CARA_RETRY_MAX_WAIT_S;
    double wait = random * most;
    return wait < retry_after_s ? retry_after_s : wait;
}
