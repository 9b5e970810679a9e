#define _DEFAULT_SOURCE /* madvise */
#include "base/files/read_ahead.h"

#include "base/limits.h"
#include "base/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define PIECE (2 * CARA_MIB)  /* mapped at a time; stopping waits for one */
#define QUEUE (32 * CARA_MIB) /* requested from the disk before it is needed */

struct cara_read_ahead {
    const uint8_t *data;
    size_t size;
    pthread_mutex_t mutex; /* guards `running` */
    int running;
    pthread_t thread;
    atomic_int stop;
};

/* Pages that [at, at + n) lies in; n is cut to the data's end. */
static void advise(const cara_read_ahead *a, size_t at, size_t n, int advice) {
    if (at >= a->size)
        return;
    n = n < a->size - at ? n : a->size - at;
    uintptr_t from = (uintptr_t)(a->data + at) / PAGE * PAGE;
    madvise((void *)from, (uintptr_t)(a->data + at) + n - from, advice);
}

/* Puts a piece's pages into this process's tables, and waits for those that are not there yet. */
static void map_piece(const cara_read_ahead *a, size_t at, size_t n) {
    uintptr_t from = (uintptr_t)(a->data + at) / PAGE * PAGE;
    size_t bytes = (uintptr_t)(a->data + at) + n - from;
#ifdef MADV_POPULATE_READ
    if (madvise((void *)from, bytes, MADV_POPULATE_READ) == 0)
        return;
#endif
    for (size_t i = 0; i < bytes; i += PAGE) /* before Linux 5.14 */
        (void)*(const volatile uint8_t *)(from + i);
}

static void *work(void *arg) {
    cara_read_ahead *a = arg;
    advise(a, 0, QUEUE, MADV_WILLNEED);
    for (size_t at = 0; at < a->size && !atomic_load(&a->stop);) {
        size_t n = a->size - at < PIECE ? a->size - at : PIECE;
        if (at + QUEUE < a->size)
            advise(a, at + QUEUE, PIECE, MADV_WILLNEED);
        map_piece(a, at, n);
        at += n;
    }
    return NULL;
}

cara_read_ahead *cara_read_ahead_new(const void *data, size_t size) {
    cara_read_ahead *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->data = data;
    a->size = size;
    pthread_mutex_init(&a->mutex, NULL);
    return a;
}

void cara_read_ahead_start(cara_read_ahead *a) {
    if (!a)
        return;
    pthread_mutex_lock(&a->mutex);
    if (!a->running && a->size)
        a->running = cara_thread_start(&a->thread, work, a) == 0;
    pthread_mutex_unlock(&a->mutex);
}

void cara_read_ahead_free(cara_read_ahead *a) {
    if (!a)
        return;
    atomic_store(&a->stop, 1);
    if (a->running)
        pthread_join(a->thread, NULL);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}
