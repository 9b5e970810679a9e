#include "audio/libav_memory.h"

#include <caracola/error.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What an allocation takes beyond its bytes: libc's own header, and what alignment leaves unused.
 * libav makes many small ones, one or more for each packet. */
#define OVERHEAD 64

static _Thread_local cara_libav_budget *current;

void cara_libav_budget_enter(cara_libav_budget *budget) {
    current = budget;
}

/* The process's own functions. Here their names are ours, and libc's need not be the process's. */
typedef struct allocator {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void (*free)(void *);
    size_t (*usable)(void *);
} allocator;

static void find(void *program, const char *name, void *function) {
    void *found = dlsym(program, name);
    if (!found)
        abort(); /* libc has them all */
    memcpy(function, &found, sizeof found);
}

/* Found at the first call, which may come from a library's constructor. Two threads that come first
 * at once find the same. */
static const allocator *process(void) {
    static allocator a;
    static atomic_int found;
    if (!atomic_load_explicit(&found, memory_order_acquire)) {
        void *program = dlopen(NULL, RTLD_LAZY);
        find(program, "malloc", &a.malloc);
        find(program, "calloc", &a.calloc);
        find(program, "realloc", &a.realloc);
        find(program, "posix_memalign", &a.posix_memalign);
        find(program, "aligned_alloc", &a.aligned_alloc);
        find(program, "free", &a.free);
        find(program, "malloc_usable_size", &a.usable);
        atomic_store_explicit(&found, 1, memory_order_release);
    }
    return &a;
}

/* 1 where `more` bytes may be allocated. */
static int allowed(size_t more) {
    cara_libav_budget *b = current;
    if (!b)
        return 1;
    b->counted = 1;
    if (!b->limit || (more <= b->limit && b->used <= b->limit - more))
        return 1;
    b->refused = 1;
    errno = ENOMEM;
    return 0;
}

static void *added(void *p, size_t asked) {
    cara_libav_budget *b = current;
    if (b && p)
        b->used += process()->usable(p) + OVERHEAD;
    else if (b && asked)
        b->failed = 1;
    return p;
}

static void subtract(size_t n) {
    cara_libav_budget *b = current;
    if (b) /* libc allocates a little by itself, which is freed here */
        b->used -= n < b->used ? n : b->used;
}

CARA_API void *malloc(size_t n) {
    return allowed(n) ? added(process()->malloc(n), n) : NULL;
}

CARA_API void *calloc(size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        bytes = SIZE_MAX;
    return allowed(bytes) ? added(process()->calloc(n, size), bytes) : NULL;
}

CARA_API void *realloc(void *p, size_t n) {
    size_t was = p && current ? process()->usable(p) + OVERHEAD : 0;
    if (!allowed(n > was ? n - was : 0))
        return NULL;
    void *q = process()->realloc(p, n);
    if (q || !n)
        subtract(was);
    return added(q, n);
}

CARA_API void *reallocarray(void *p, size_t n, size_t size) {
    size_t bytes;
    if (!__builtin_mul_overflow(n, size, &bytes))
        return realloc(p, bytes);
    errno = ENOMEM;
    return NULL;
}

CARA_API int posix_memalign(void **out, size_t alignment, size_t n) {
    if (!allowed(n))
        return ENOMEM;
    int rc = process()->posix_memalign(out, alignment, n);
    (void)added(rc ? NULL : *out, rc == ENOMEM ? n : 0);
    return rc;
}

CARA_API void *aligned_alloc(size_t alignment, size_t n) {
    return allowed(n) ? added(process()->aligned_alloc(alignment, n), n) : NULL;
}

CARA_API void *memalign(size_t alignment, size_t n) {
    return aligned_alloc(alignment, n);
}

CARA_API void free(void *p) {
    if (!p)
        return;
    if (current)
        subtract(process()->usable(p) + OVERHEAD);
    process()->free(p);
}
