#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */
#include "base/memory/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* Whole huge pages for blocks that are worth one: the system only joins those. 0 on overflow. */
static size_t round_up_size(size_t count, size_t size) {
    if (size && count > SIZE_MAX / 4 / size)
        return 0;
    size_t n = count * size, page = n < HUGE_PAGE ? 4096 : HUGE_PAGE;
    return n ? (n + page - 1) / page * page : page;
}

void *cara_pages_alloc(size_t count, size_t size) {
    size_t n = round_up_size(count, size), spare = n < HUGE_PAGE ? 0 : HUGE_PAGE;
    if (!n)
        return NULL;
    char *p = mmap(NULL, n + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (!spare)
        return p;
    /* Only what is aligned to a huge page can become one; the rest goes back. */
    size_t before = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
    if (before)
        munmap(p, before);
    if (spare > before)
        munmap(p + before + n, spare - before);
    p += before;
#ifdef MADV_HUGEPAGE
    madvise(p, n, MADV_HUGEPAGE); /* a hint: failure changes only the speed */
#endif
    return p;
}

void cara_pages_free(void *block, size_t count, size_t size) {
    if (block)
        munmap(block, round_up_size(count, size));
}
