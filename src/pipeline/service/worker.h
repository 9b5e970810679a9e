/* A queue of events, handled one after the other until the process is interrupted. */
#ifndef PIPELINE_WORKER_H
#define PIPELINE_WORKER_H

#include "pipeline/service/service.h"

typedef struct cara_worker_options {
    const char *queue_url;
    int visibility_s; /* SQS's visibility timeout, renewed after each third; 0: 120 */
    int wait_s;       /* of one long poll, at most 20; 0: 20 */
    /* Two more clients: the service's own serves store and media, and the visibility timeout is
     * renewed in another thread. */
    struct cara_aws *queue, *renewal;
} cara_worker_options;

typedef struct cara_worker_summary {
    size_t n_done, n_left; /* events deleted from the queue; left in it */
} cara_worker_summary;

/* Takes one message after the other until service->interrupted returns 1, and then gives the
 * current one back to the queue, unless it is finished at once. Where the queue does not answer,
 * waits longer and longer, up to a minute; only an error of the first call ends the work:
 * NOT_FOUND, DENIED; and USAGE at any time. CARA_OK after an interruption. */
int cara_worker_run(cara_service *service, const cara_worker_options *options,
                    cara_worker_summary *summary, cara_error *err);

#endif
