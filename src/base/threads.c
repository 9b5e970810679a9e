#define _GNU_SOURCE
#include "base/threads.h"

#include "base/limits.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* Workers spin briefly for the next job (decoding hands out hundreds a token), then sleep. */
#define SPINS 2000

typedef struct worker {
    cara_pool *pool;
    int index;
    pthread_t id;
} worker;

struct cara_pool {
    int threads;
    cara_task_fn fn;
    void *ctx;
    size_t tasks;
    atomic_size_t next;
    atomic_int busy;        /* workers that have not finished the job */
    atomic_uint generation; /* a new value is a new job */
    atomic_int stop;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_cond_t done;
    worker workers[]; /* [threads - 1] */
};

int cara_threads_available(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > CARA_LIMIT_THREADS ? CARA_LIMIT_THREADS : n;
}

static inline void cpu_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void run_tasks(cara_pool *pool, int thread) {
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->tasks)
            return;
        pool->fn(pool->ctx, task, thread);
    }
}

static void *work(void *arg) {
    worker *self = arg;
    cara_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        int spins = 0;
        while (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen &&
               spins++ < SPINS)
            cpu_pause();
        if (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen) {
            pthread_mutex_lock(&pool->mutex);
            while (atomic_load(&pool->generation) == seen)
                pthread_cond_wait(&pool->wake, &pool->mutex);
            pthread_mutex_unlock(&pool->mutex);
        }
        seen = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (atomic_load(&pool->stop))
            return NULL;
        run_tasks(pool, self->index);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

/* Starts job `generation + 1` for all workers; the mutex pairs it with sleepers. */
static void start_job(cara_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

cara_pool *cara_pool_new(int threads) {
    if (threads < 1)
        threads = 1;
    if (threads > CARA_LIMIT_THREADS)
        threads = CARA_LIMIT_THREADS;
    cara_pool *pool = calloc(1, sizeof *pool + (size_t)(threads - 1) * sizeof(worker));
    if (!pool)
        return NULL;
    pool->threads = 1;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int i = 0; i < threads - 1; i++) {
        pool->workers[i] = (worker){.pool = pool, .index = i + 1};
        if (pthread_create(&pool->workers[i].id, NULL, work, &pool->workers[i]) != 0) {
            cara_pool_free(pool);
            return NULL;
        }
        pool->threads++;
    }
    return pool;
}

int cara_pool_threads(const cara_pool *pool) {
    return pool ? pool->threads : 1;
}

void cara_pool_run(cara_pool *pool, cara_task_fn fn, void *ctx, size_t tasks) {
    if (!pool || pool->threads == 1 || tasks <= 1) {
        for (size_t i = 0; i < tasks; i++)
            fn(ctx, i, 0);
        return;
    }
    pool->fn = fn;
    pool->ctx = ctx;
    pool->tasks = tasks;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store(&pool->busy, pool->threads - 1);
    start_job(pool);
    run_tasks(pool, 0);
    for (int spins = 0; atomic_load(&pool->busy) && spins < SPINS; spins++)
        cpu_pause();
    if (atomic_load(&pool->busy)) {
        pthread_mutex_lock(&pool->mutex);
        while (atomic_load(&pool->busy))
            pthread_cond_wait(&pool->done, &pool->mutex);
        pthread_mutex_unlock(&pool->mutex);
    }
}

void cara_pool_free(cara_pool *pool) {
    if (!pool)
        return;
    atomic_store(&pool->stop, 1);
    start_job(pool);
    for (int i = 0; i < pool->threads - 1; i++)
        pthread_join(pool->workers[i].id, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

int cara_thread_start(pthread_t *thread, void *(*run)(void *), void *ctx) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, run, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

void cara_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int cara_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    time_t whole = (time_t)seconds;
    until.tv_sec += whole;
    until.tv_nsec += (long)((seconds - (double)whole) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    return pthread_cond_timedwait(cond, mutex, &until);
}
