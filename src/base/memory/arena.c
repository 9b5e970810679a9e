#include "base/memory/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 64u
#define BLOCK_MIN (64u * 1024u)

struct cara_arena_block {
    cara_arena_block *next;
    size_t size; /* of the data behind this header */
    size_t at;
};

#define HEADER ((sizeof(cara_arena_block) + ALIGN - 1) / ALIGN * ALIGN)

void cara_arena_init(cara_arena *arena, size_t limit) {
    *arena = (cara_arena){.limit = limit};
}

void *cara_arena_alloc(cara_arena *arena, size_t count, size_t size) {
    if (size && count > (SIZE_MAX / 2) / size)
        return NULL;
    size_t n = count * size;
    n = n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    cara_arena_block *block = arena->head;
    if (!block || block->size - block->at < n) {
        size_t room = arena->limit > arena->used ? arena->limit - arena->used : 0;
        if (room < HEADER || n > room - HEADER) {
            arena->full = 1;
            return NULL;
        }
        size_t want = n > BLOCK_MIN ? n : BLOCK_MIN;
        if (want > room - HEADER)
            want = n;
        want = (want + ALIGN - 1) / ALIGN * ALIGN;
        block = aligned_alloc(ALIGN, HEADER + want);
        if (!block)
            return NULL;
        block->size = want;
        block->at = 0;
        arena->used += HEADER + want;
        /* A block of its own for a large piece must not hide the room left in the current one. */
        if (arena->head && n > BLOCK_MIN / 2 && arena->head->size - arena->head->at > want - n) {
            block->next = arena->head->next;
            arena->head->next = block;
        } else {
            block->next = arena->head;
            arena->head = block;
        }
    }
    void *p = (char *)block + HEADER + block->at;
    block->at += n;
    return memset(p, 0, n);
}

char *cara_arena_strndup(cara_arena *arena, const char *text, size_t n) {
    char *copy = n < SIZE_MAX ? cara_arena_alloc(arena, n + 1, 1) : NULL;
    if (copy && n)
        memcpy(copy, text, n);
    return copy;
}

char *cara_arena_strdup(cara_arena *arena, const char *text) {
    return cara_arena_strndup(arena, text, strlen(text));
}

char *cara_arena_printf(cara_arena *arena, const char *format, ...) {
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    char *text = n < 0 ? NULL : cara_arena_alloc(arena, (size_t)n + 1, 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(ap);
    return text;
}

void cara_arena_free(cara_arena *arena) {
    for (cara_arena_block *block = arena->head; block;) {
        cara_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->head = NULL;
    arena->used = 0;
    arena->full = 0;
}
