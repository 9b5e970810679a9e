/* Memory with one owner and one end: everything allocated from an arena is freed at once. Each
 * arena has a limit from the start, so that no input can make the program allocate without
 * bound. */
#ifndef BASE_MEMORY_ARENA_H
#define BASE_MEMORY_ARENA_H

#include <stddef.h>

typedef struct cara_arena_block cara_arena_block;

typedef struct cara_arena {
    cara_arena_block *head;
    size_t used;  /* bytes handed out or held in blocks */
    size_t limit; /* most bytes in all */
    int full;     /* an allocation failed at the limit, not for lack of memory */
} cara_arena;

/* Allocates nothing yet. */
void cara_arena_init(cara_arena *arena, size_t limit);

/* 64-byte aligned, zeroed. NULL where the limit or the system's memory is met (also when
 * count * size overflows). */
void *cara_arena_alloc(cara_arena *arena, size_t count, size_t size);

/* NUL-terminated copy of n bytes. */
char *cara_arena_strndup(cara_arena *arena, const char *text, size_t n);
char *cara_arena_strdup(cara_arena *arena, const char *text);

/* printf into the arena; NULL on no memory. */
char *cara_arena_printf(cara_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Frees everything; the arena may be used again. */
void cara_arena_free(cara_arena *arena);

#endif
