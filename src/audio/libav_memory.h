/* A ceiling on what libav and the libraries under it hold for one stream.
 *
 * libav has no way to give it an allocator. So this module defines malloc() and its kin by
 * themselves, and is loaded with RTLD_DEEPBIND: the libraries that are loaded for it then call
 * these, which count and call the process's own. Nothing outside is changed. Where the libraries
 * were in the process before, or a sanitizer forbids RTLD_DEEPBIND, nothing is counted. */
#ifndef AUDIO_LIBAV_MEMORY_H
#define AUDIO_LIBAV_MEMORY_H

#include <stddef.h>

typedef struct cara_libav_budget {
    size_t limit; /* bytes; 0: none */
    size_t used;
    int counted; /* an allocation came by: the ceiling works */
    int refused; /* an allocation was refused because of the limit */
    int failed;  /* the process's allocator had no memory */
} cara_libav_budget;

/* What this thread allocates from now on counts for `budget`; NULL: for none. */
void cara_libav_budget_enter(cara_libav_budget *budget);

#endif
