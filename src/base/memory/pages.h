/* Large blocks of memory, in huge pages where the system has them. */
#ifndef BASE_MEMORY_PAGES_H
#define BASE_MEMORY_PAGES_H

#include <stddef.h>

/* count * size bytes, zeroed, aligned to 64 at least and not yet touched: physical memory is used
 * as it is written. NULL where there is none, or the product overflows. */
void *cara_pages_alloc(size_t count, size_t size);

/* Frees a block by the count and size that it was allocated with; NULL is allowed. */
void cara_pages_free(void *block, size_t count, size_t size);

#endif
