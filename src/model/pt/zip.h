/* The members of a zip archive in memory. zip64 too. */
#ifndef MODEL_PT_ZIP_H
#define MODEL_PT_ZIP_H

#include "base/error.h"
#include "base/memory/arena.h"
#include "base/slice.h"

typedef struct cara_zip_member {
    cara_slice name; /* borrowed from the archive */
    uint64_t size;
    uint64_t packed_size;
    uint64_t offset; /* of its local header */
    uint32_t crc;
    uint16_t method; /* 0 is stored */
    uint16_t flags;
    uint8_t
        made_by; /* the system that `attributes` are of; 3 is Unix, with the mode above bit 16 */
    uint32_t attributes;
} cara_zip_member;

typedef struct cara_zip {
    cara_slice file;
    uint64_t directory;       /* offset of the central directory: members end before it */
    cara_zip_member *members; /* [n], in the arena */
    size_t n;
    size_t next; /* where the search for a name begins */
} cara_zip;

/* Reads the central directory. Errors: MODEL_CORRUPT (cut short, or inconsistent), MEMORY. */
int cara_zip_open(cara_slice file, cara_arena *arena, cara_zip *zip, cara_error *err);

/* The member of that name, or NULL. */
const cara_zip_member *cara_zip_find(cara_zip *zip, const char *name, size_t n);

/* Its bytes as the archive has them, packed or not, in place. MODEL_CORRUPT. */
int cara_zip_packed(const cara_zip *zip, const cara_zip_member *member, cara_slice *out,
                    cara_error *err);

/* The bytes of a stored member, in place. MODEL_FORMAT (compressed or encrypted), MODEL_CORRUPT. */
int cara_zip_data(const cara_zip *zip, const cara_zip_member *member, cara_slice *out,
                  cara_error *err);

#endif
