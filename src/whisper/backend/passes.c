#include "whisper/backend/passes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What one thread waits for; it is on that thread's stack. */
typedef struct request {
    const cara_run *runs; /* [n_runs] */
    size_t n_runs;
    const size_t *wanted; /* [n_wanted] */
    size_t n_wanted;
    int first_slot; /* of the session, in the shared backend */
    float *logits;  /* [n_wanted, n_vocab] */
    cara_error *err;
    int rc, done;
    struct request *next;
} request;

/* One session's backend. */
typedef struct member {
    cara_backend backend;
    struct cara_passes *passes;
    int index;
    cara_backend_stop stop;
} member;

struct cara_passes {
    cara_backend *shared;
    cara_backend_ops ops; /* of the members */
    int n, n_slots;
    size_t n_vocab;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int busy;              /* a thread computes */
    int entering;          /* threads that wait in lock_backend(), which go first */
    int decoding, waiting; /* sessions between start() and finish(); of these, in forward() */
    request *first, **last;
    /* Of the current pass. */
    cara_run *runs;
    size_t runs_room;
    size_t *wanted;
    size_t wanted_room;
    float *logits;
    size_t logits_room;
    member members[]; /* [n] */
};

/* Waits until no thread computes; no other does until unlock_backend(). */
static void lock_backend(cara_passes *p) {
    pthread_mutex_lock(&p->lock);
    p->entering++;
    while (p->busy)
        pthread_cond_wait(&p->changed, &p->lock);
    p->entering--;
    p->busy = 1;
    pthread_mutex_unlock(&p->lock);
}

static void unlock_backend(cara_passes *p) {
    pthread_mutex_lock(&p->lock);
    p->busy = 0;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static int slot_of(const member *m, int slot) {
    return m->index * m->passes->n_slots + slot;
}

static void member_set_stop(cara_backend *b, cara_backend_stop stop) {
    ((member *)b)->stop = stop;
}

/* The session alone computes, and alone can cancel it. */
static int member_encode_window(cara_backend *b, int audio, const float *mel, size_t audio_ctx,
                                cara_error *err) {
    member *m = (member *)b;
    cara_backend *shared = m->passes->shared;
    lock_backend(m->passes);
    shared->ops->set_stop(shared, m->stop);
    int rc = shared->ops->encode_window(shared, m->index + audio, mel, audio_ctx, err);
    shared->ops->set_stop(shared, (cara_backend_stop){NULL, NULL});
    unlock_backend(m->passes);
    return rc;
}

static int member_reserve_slots(cara_backend *b, int first, int n, cara_error *err) {
    const member *m = (const member *)b;
    cara_backend *shared = m->passes->shared;
    lock_backend(m->passes);
    int rc = shared->ops->reserve_slots(shared, slot_of(m, first), n, err);
    unlock_backend(m->passes);
    return rc;
}

static void member_start(cara_backend *b, int slot, int audio) {
    const member *m = (const member *)b;
    cara_passes *p = m->passes;
    pthread_mutex_lock(&p->lock);
    p->decoding++;
    pthread_mutex_unlock(&p->lock);
    lock_backend(p);
    p->shared->ops->start(p->shared, slot_of(m, slot), m->index + audio);
    unlock_backend(p);
}

static void member_finish(cara_backend *b, int slot) {
    cara_passes *p = ((member *)b)->passes;
    (void)slot;
    pthread_mutex_lock(&p->lock);
    p->decoding--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void member_truncate(cara_backend *b, int slot, size_t length) {
    const member *m = (const member *)b;
    cara_backend *shared = m->passes->shared;
    lock_backend(m->passes);
    shared->ops->truncate(shared, slot_of(m, slot), length);
    unlock_backend(m->passes);
}

static void member_fork(cara_backend *b, int from, int first, int n) {
    const member *m = (const member *)b;
    cara_backend *shared = m->passes->shared;
    lock_backend(m->passes);
    shared->ops->fork(shared, slot_of(m, from), slot_of(m, first), n);
    unlock_backend(m->passes);
}

static void member_reorder(cara_backend *b, int first, const int *source, int n) {
    const member *m = (const member *)b;
    cara_backend *shared = m->passes->shared;
    lock_backend(m->passes);
    shared->ops->reorder(shared, slot_of(m, first), source, n);
    unlock_backend(m->passes);
}

/* Grows the array to n items; 0 where there is no memory. */
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

/* The list's runs and what is wanted of them as one pass's, in the shared backend's slots. 0 where
 * there is no memory for it. */
static int join_requests(cara_passes *p, const request *list, size_t *n_runs, size_t *n_wanted) {
    size_t tokens = 0;
    *n_runs = *n_wanted = 0;
    for (const request *r = list; r; r = r->next) {
        *n_runs += r->n_runs;
        *n_wanted += r->n_wanted;
    }
    if (!room_for((void **)&p->runs, &p->runs_room, *n_runs, sizeof *p->runs) ||
        !room_for((void **)&p->wanted, &p->wanted_room, *n_wanted, sizeof *p->wanted))
        return 0;
    *n_runs = *n_wanted = 0;
    for (const request *r = list; r; r = r->next) {
        for (size_t i = 0; i < r->n_wanted; i++)
            p->wanted[(*n_wanted)++] = tokens + r->wanted[i];
        for (size_t i = 0; i < r->n_runs; i++) {
            cara_run *run = &p->runs[(*n_runs)++];
            *run = r->runs[i];
            run->slot += r->first_slot;
            tokens += run->n;
        }
    }
    return 1;
}

/* All of the list in one pass; a list of one writes its logits in place. On failure each is to be
 * run alone. */
static int run_pass(cara_passes *p, request *list, cara_error *err) {
    size_t n_runs, n_wanted;
    int alone = !list->next;
    if (!join_requests(p, list, &n_runs, &n_wanted) ||
        (!alone &&
         !room_for((void **)&p->logits, &p->logits_room, n_wanted * p->n_vocab, sizeof *p->logits)))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for a pass of %zu tokens", n_runs);
    int rc = p->shared->ops->forward(p->shared, p->runs, n_runs, p->wanted, n_wanted,
                                     alone ? list->logits : p->logits, err);
    const float *logits = p->logits;
    for (request *r = list; r && !rc && !alone; r = r->next) {
        memcpy(r->logits, logits, r->n_wanted * p->n_vocab * sizeof *logits);
        logits += r->n_wanted * p->n_vocab;
    }
    return rc;
}

/* Each of the list in a pass of its own. */
static void run_each(cara_passes *p, request *list) {
    while (list) {
        request alone = *list;
        alone.next = NULL;
        list->rc = run_pass(p, &alone, list->err);
        list = list->next;
    }
}

static int member_forward(cara_backend *b, const cara_run *runs, size_t n_runs,
                          const size_t *wanted, size_t n_wanted, float *logits, cara_error *err) {
    const member *m = (const member *)b;
    cara_passes *p = m->passes;
    if (m->stop.fn && m->stop.fn(m->stop.cookie))
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "Stopped by the progress callback");
    request own = {.runs = runs,
                   .n_runs = n_runs,
                   .wanted = wanted,
                   .n_wanted = n_wanted,
                   .first_slot = slot_of(m, 0),
                   .logits = logits,
                   .err = err};
    pthread_mutex_lock(&p->lock);
    *p->last = &own;
    p->last = &own.next;
    p->waiting++;
    while (!own.done) {
        if (p->busy || p->entering || p->waiting < p->decoding) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        /* All requests are there: this thread runs the pass for them. */
        request *list = p->first;
        p->first = NULL;
        p->last = &p->first;
        p->busy = 1;
        pthread_mutex_unlock(&p->lock);
        if (!list->next)
            list->rc = run_pass(p, list, list->err);
        else if (run_pass(p, list, NULL))
            run_each(p, list);
        pthread_mutex_lock(&p->lock);
        while (list) {
            /* Once `done` is set, the request belongs to its thread again. */
            request *next = list->next;
            list->done = 1;
            p->waiting--;
            list = next;
        }
        p->busy = 0;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return own.rc;
}

/* The session computes it alone, between the others' passes. */
static int member_align(cara_backend *b, const cara_run *run, const size_t *wanted, size_t n_wanted,
                        float *logits, const cara_alignment *alignment, cara_error *err) {
    const member *m = (const member *)b;
    cara_backend *shared = m->passes->shared;
    const cara_run own = {slot_of(m, run->slot), run->tokens, run->n};
    lock_backend(m->passes);
    shared->ops->set_stop(shared, m->stop);
    int rc = shared->ops->align(shared, &own, wanted, n_wanted, logits, alignment, err);
    shared->ops->set_stop(shared, (cara_backend_stop){NULL, NULL});
    unlock_backend(m->passes);
    return rc;
}

static void member_free(cara_backend *b) {
    (void)b; /* cara_passes_free() does it */
}

static const cara_backend_ops member_ops = {
    .set_stop = member_set_stop,
    .encode_window = member_encode_window,
    .reserve_slots = member_reserve_slots,
    .start = member_start,
    .finish = member_finish,
    .truncate = member_truncate,
    .fork = member_fork,
    .reorder = member_reorder,
    .forward = member_forward,
    .align = member_align,
    .free = member_free,
};

cara_passes *cara_passes_new(cara_backend *backend, int n, int n_slots, size_t n_vocab) {
    cara_passes *p = calloc(1, sizeof *p + (size_t)n * sizeof *p->members);
    if (!p)
        return NULL;
    p->shared = backend;
    p->ops = member_ops;
    if (!backend->ops->align)
        p->ops.align = NULL;
    p->n = n;
    p->n_slots = n_slots;
    p->n_vocab = n_vocab;
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    for (int i = 0; i < n; i++)
        p->members[i] = (member){.backend = {&p->ops}, .passes = p, .index = i};
    return p;
}

cara_backend *cara_passes_session(cara_passes *passes, int index) {
    return &passes->members[index].backend;
}

void cara_passes_free(cara_passes *p) {
    if (!p)
        return;
    cara_backend_free(p->shared);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->runs);
    free(p->wanted);
    free(p->logits);
    free(p);
}
