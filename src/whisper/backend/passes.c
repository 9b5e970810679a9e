#include "whisper/backend/passes.h"

#include "base/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What one thread waits for; it lies on that thread's stack. */
typedef struct request {
    const cara_run *runs;
    size_t n_runs;
    const size_t *wanted;
    size_t n_wanted;
    float *logits;
    cara_error *err;
    int rc, done;
    struct request *next;
} request;

struct cara_passes {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int busy;            /* somebody computes */
    int entering;        /* threads that wait in enter(), which go first */
    int joined, waiting; /* threads between join() and part(); of these, in forward() */
    request *first, **last;
    /* Of the pass at hand. */
    cara_run *runs;
    size_t runs_room;
    size_t *wanted;
    size_t wanted_room;
    float *logits;
    size_t logits_room;
};

cara_passes *cara_passes_new(void) {
    cara_passes *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    return p;
}

void cara_passes_free(cara_passes *p) {
    if (!p)
        return;
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->runs);
    free(p->wanted);
    free(p->logits);
    free(p);
}

void cara_passes_enter(cara_passes *p) {
    pthread_mutex_lock(&p->lock);
    p->entering++;
    while (p->busy)
        pthread_cond_wait(&p->changed, &p->lock);
    p->entering--;
    p->busy = 1;
    pthread_mutex_unlock(&p->lock);
}

void cara_passes_leave(cara_passes *p) {
    pthread_mutex_lock(&p->lock);
    p->busy = 0;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void cara_passes_join(cara_passes *p) {
    pthread_mutex_lock(&p->lock);
    p->joined++;
    pthread_mutex_unlock(&p->lock);
}

void cara_passes_part(cara_passes *p) {
    pthread_mutex_lock(&p->lock);
    p->joined--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* Room for n items; 0 where there is none. */
static int room_for(void **items, size_t *room, size_t n, size_t size) {
    if (*room >= n)
        return 1;
    void *more = n <= SIZE_MAX / size ? realloc(*items, n * size) : NULL;
    if (!more)
        return 0;
    *items = more;
    *room = n;
    return 1;
}

static size_t tokens_of(const request *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_runs; i++)
        n += r->runs[i].n;
    return n;
}

static void run_alone(request *r, cara_decoder *decoder) {
    r->rc = cara_decoder_forward(decoder, r->runs, r->n_runs, r->wanted, r->n_wanted, r->logits,
                                 r->err);
}

/* All of the list in one pass. -1 where there is no memory for it, or it fails: then each is to be
 * run alone, lest one pay for another. */
static int run_together(cara_passes *p, request *list, cara_decoder *decoder, size_t n_vocab) {
    size_t n_runs = 0, n_wanted = 0, tokens = 0;
    for (const request *r = list; r; r = r->next) {
        n_runs += r->n_runs;
        n_wanted += r->n_wanted;
    }
    if (!room_for((void **)&p->runs, &p->runs_room, n_runs, sizeof *p->runs) ||
        !room_for((void **)&p->wanted, &p->wanted_room, n_wanted, sizeof *p->wanted) ||
        !room_for((void **)&p->logits, &p->logits_room, n_wanted * n_vocab, sizeof *p->logits))
        return -1;
    n_runs = n_wanted = 0;
    for (const request *r = list; r; r = r->next) {
        for (size_t i = 0; i < r->n_runs; i++)
            p->runs[n_runs++] = r->runs[i];
        for (size_t i = 0; i < r->n_wanted; i++)
            p->wanted[n_wanted++] = tokens + r->wanted[i];
        tokens += tokens_of(r);
    }
    if (cara_decoder_forward(decoder, p->runs, n_runs, p->wanted, n_wanted, p->logits, NULL))
        return -1;
    const float *logits = p->logits;
    for (request *r = list; r; r = r->next) {
        memcpy(r->logits, logits, r->n_wanted * n_vocab * sizeof *logits);
        logits += r->n_wanted * n_vocab;
        r->rc = CARA_OK;
    }
    return 0;
}

/* Serves all that wait. With the lock, which it gives up while it computes. */
static void serve(cara_passes *p, cara_decoder *decoder, size_t n_vocab) {
    request *list = p->first;
    p->first = NULL;
    p->last = &p->first;
    p->busy = 1;
    pthread_mutex_unlock(&p->lock);
    if (!list->next || run_together(p, list, decoder, n_vocab) != 0)
        for (request *r = list; r; r = r->next)
            run_alone(r, decoder);
    pthread_mutex_lock(&p->lock);
    while (list) {
        request *next = list->next; /* behind `done` the request is its thread's again */
        list->done = 1;
        p->waiting--;
        list = next;
    }
    p->busy = 0;
    pthread_cond_broadcast(&p->changed);
}

int cara_passes_forward(cara_passes *p, cara_decoder *decoder, const cara_run *runs, size_t n_runs,
                        const size_t *wanted, size_t n_wanted, float *logits, size_t n_vocab,
                        cara_error *err) {
    request r = {.runs = runs,
                 .n_runs = n_runs,
                 .wanted = wanted,
                 .n_wanted = n_wanted,
                 .logits = logits,
                 .err = err};
    pthread_mutex_lock(&p->lock);
    *p->last = &r;
    p->last = &r.next;
    p->waiting++;
    while (!r.done)
        if (!p->busy && !p->entering && p->waiting == p->joined)
            serve(p, decoder, n_vocab);
        else
            pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return r.rc;
}
