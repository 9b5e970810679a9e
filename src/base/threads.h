/* A pool of threads that share one job at a time, and how many threads this process may use. */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include <pthread.h>
#include <stddef.h>

typedef struct cara_pool cara_pool;

/* CPUs that this process may run on (its affinity mask), at least 1. */
int cara_threads_available(void);

/* `threads` counts the caller: 1 starts none. NULL where there is no memory or no thread can be
 * started. */
cara_pool *cara_pool_new(int threads);
int cara_pool_threads(const cara_pool *pool); /* 1 for NULL */

/* Calls fn(ctx, task, thread) for task 0..tasks-1, spread over the pool; returns when all are done.
 * `thread` is 0..threads-1, so that each can own scratch. Tasks are handed out in order. A NULL
 * pool runs them here. Not to be called from within a task. */
typedef void (*cara_task_fn)(void *ctx, size_t task, int thread);
void cara_pool_run(cara_pool *pool, cara_task_fn fn, void *ctx, size_t tasks);

void cara_pool_free(cara_pool *pool);

/* Starts a thread that receives no signals: the main thread handles those. 0, or an errno. */
int cara_thread_start(pthread_t *thread, void *(*run)(void *), void *ctx);

/* A condition that waits by the monotonic clock, and waiting for it for so long at most: 0, or
 * ETIMEDOUT. */
void cara_cond_init(pthread_cond_t *cond);
int cara_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, double seconds);

#endif
