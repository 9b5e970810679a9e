/* A zip for Lambda, "provided" runtime: docs.aws.amazon.com/lambda/latest/dg/runtimes-provided.html
 * has what must be in it. */
#include "base/limits.h"
#include "base/memory/arena.h"
#include "deploy/package/package.h"
#include "model/bytes.h"
#include "model/pt/zip.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { ELF_HEAD = 20 }; /* to the end of e_machine */

static int refuse(cara_error *err, const char *name, const char *why) {
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "%.150s is no package for Lambda: %s; `make package` builds one into "
                     "build/package",
                     name, why);
}

/* The first bytes of a member, unpacked; 0 where there are fewer or they are damaged. */
static int first_bytes(const cara_zip_member *m, cara_slice packed, uint8_t head[ELF_HEAD]) {
    if (m->method == 0) {
        if (packed.len < ELF_HEAD)
            return 0;
        memcpy(head, packed.ptr, ELF_HEAD);
        return 1;
    }
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.ptr, /* zlib does not write there */
                  .avail_in = packed.len > 4096 ? 4096 : (uInt)packed.len,
                  .next_out = head,
                  .avail_out = ELF_HEAD};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return 0;
    int status = inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    return (status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR) && z.avail_out == 0;
}

/* ELF's e_machine, in Lambda's words; NULL for other machines, and for what is no program. */
static const char *machine_of(const uint8_t head[ELF_HEAD]) {
    if (memcmp(head, "\177ELF\2\1", 6) != 0) /* 64 bits, little-endian */
        return NULL;
    int machine = cara_le16(head + 18);
    return machine == 62 ? "x86_64" : machine == 183 ? "arm64" : NULL;
}

static int read_bootstrap(cara_zip *zip, const char *name, cara_package *out, cara_error *err) {
    const cara_zip_member *m = cara_zip_find(zip, "bootstrap", strlen("bootstrap"));
    cara_slice packed;
    uint8_t head[ELF_HEAD];
    cara_error unsaid = {.code = CARA_OK, .position = -1};
    if (!m)
        return refuse(err, name, "there is no file named bootstrap at its top");
    if (m->flags & 1)
        return refuse(err, name, "it is encrypted");
    if (m->method != 0 && m->method != 8)
        return refuse(err, name, "its bootstrap is packed in a way that Lambda does not read");
    if (cara_zip_packed(zip, m, &packed, &unsaid))
        return refuse(err, name, unsaid.text);
    if (!first_bytes(m, packed, head) || !(out->architecture = machine_of(head)))
        return refuse(err, name,
                      "its bootstrap is no program for Linux on x86_64 or arm64 (64-bit ELF)");
    if (m->made_by == 3 && !(m->attributes >> 16 & 0111))
        return refuse(err, name, "its bootstrap may not be run (its mode has no x)");
    return CARA_OK;
}

static int read_members(cara_zip *zip, const char *name, cara_package *out, cara_buf *zones,
                        cara_error *err) {
    uint64_t unpacked = 0;
    for (size_t i = 0; i < zip->n; i++) {
        const cara_zip_member *m = &zip->members[i];
        unpacked += m->size;
        if (m->size > (uint64_t)CARA_PACKAGE_ZIP_LIMIT ||
            unpacked > (uint64_t)CARA_PACKAGE_ZIP_LIMIT)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "%.150s unpacks to more than the 250 MB that Lambda takes: use the "
                             "image, or leave the model out and give it by --model",
                             name);
        cara_package_add_zone(zones, "share/zoneinfo/", (const char *)m->name.ptr, m->name.len);
    }
    out->unpacked = (int64_t)unpacked;
    return CARA_OK;
}

int cara_package_read_zip(cara_slice file, const char *name, cara_package *out, cara_buf *zones,
                          cara_error *err) {
    cara_arena arena;
    cara_zip zip;
    cara_error unsaid = {.code = CARA_OK, .position = -1};
    *out = (cara_package){.kind = "zip", .packed = (int64_t)file.len};
    cara_arena_init(&arena, 16 * CARA_MIB);
    int rc = cara_zip_open(file, &arena, &zip, &unsaid);
    if (rc == CARA_ERR_MEMORY)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "%s", unsaid.text);
    else if (rc)
        rc = refuse(err, name, unsaid.text);
    if (!rc)
        rc = read_bootstrap(&zip, name, out, err);
    if (!rc)
        rc = read_members(&zip, name, out, zones, err);
    cara_arena_free(&arena);
    return rc;
}
