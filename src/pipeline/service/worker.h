/* A queue of events, worked off one by one until somebody says stop. */
#ifndef PIPELINE_WORKER_H
#define PIPELINE_WORKER_H

#include "pipeline/service/service.h"

typedef struct cara_worker_options {
    const char *queue_url;
    int visibility_s; /* how long a message stays hidden, renewed at every third; 0: 120 */
    int wait_s;       /* of one long poll, at most 20; 0: 20 */
    struct cara_aws
        *queue; /* clients of their own: the service's serves store and media, and the */
    struct cara_aws *heart; /* heart beats in another thread */
} cara_worker_options;

typedef struct cara_worker_summary {
    size_t n_done, n_again; /* events deleted from the queue; left in it */
} cara_worker_summary;

/* Takes one message after the other until service->interrupted says so, and then hands back the one
 * in work, unless it is finished at once. Trouble with the queue is waited out, ever longer up to a
 * minute; only what the first call to it shows to be wrong ends the work: USAGE, DENIED. CARA_OK
 * after an interruption. */
int cara_worker_run(cara_service *service, const cara_worker_options *options,
                    cara_worker_summary *summary, cara_error *err);

#endif
