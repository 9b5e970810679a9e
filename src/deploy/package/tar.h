/* The entries of a tar archive, one after the other, from memory or from gzip in memory: POSIX
 * ustar, pax and GNU's long names (POSIX.1-2017, pax, "ustar Interchange Format"). */
#ifndef DEPLOY_TAR_H
#define DEPLOY_TAR_H

#include "base/error.h"
#include "base/slice.h"

#include <zlib.h>

enum { CARA_TAR_NAME = 1024 };

typedef struct cara_tar_entry {
    char name[CARA_TAR_NAME]; /* without "./" at its front */
    char type;                /* '0' file, '1' and '2' links, '5' folder, others */
    uint64_t size;
    cara_slice data; /* its bytes in place; of an archive in gzip empty */
} cara_tar_entry;

typedef struct cara_tar {
    cara_slice bytes; /* what is left, packed or not */
    int is_gzip;
    z_stream z;
    uint64_t left, unread; /* unpacked bytes that may come; of the latest entry, with padding */
} cara_tar;

/* 1 where the first block is a tar header with a right checksum. */
int cara_tar_is(cara_slice file);
/* 1 where it is gzip. */
int cara_tar_is_gzip(cara_slice file);

/* `limit`: the most bytes, unpacked. Close it in any case. MEMORY. */
int cara_tar_open(cara_tar *tar, cara_slice file, uint64_t limit, cara_error *err);
void cara_tar_close(cara_tar *tar);

/* 1 with an entry, 0 at the end, or USAGE: damaged, cut, or larger than the limit. */
int cara_tar_next(cara_tar *tar, cara_tar_entry *entry, cara_error *err);

#endif
