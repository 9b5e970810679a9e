/* APPNOTE.TXT of PKWARE: 4.3.7 local header, 4.3.12 central header, 4.3.14-16 the ends. */
#include "model/pt/zip.h"

#include "model/bytes.h"

#define END_SIZE 22u
#define END64_SIZE 56u
#define LOCATOR_SIZE 20u
#define CENTRAL_SIZE 46u
#define LOCAL_SIZE 30u
#define MAX_MEMBERS 32768u

static int corrupt(cara_error *err, uint64_t at, const char *what) {
    return cara_fail(err, CARA_ERR_MODEL_CORRUPT, (int64_t)at,
                     "the zip archive %s; fetch or make the file again", what);
}

/* The last end record whose comment reaches exactly to the end of the file; -1 where there is none.
 */
static int64_t find_end(cara_slice file) {
    if (file.len < END_SIZE)
        return -1;
    size_t lowest = file.len > END_SIZE + 0xffff ? file.len - END_SIZE - 0xffff : 0;
    for (size_t at = file.len - END_SIZE + 1; at-- > lowest;)
        if (cara_le32(file.ptr + at) == 0x06054b50 &&
            at + END_SIZE + cara_le16(file.ptr + at + 20) == file.len)
            return (int64_t)at;
    return -1;
}

/* Takes the 64-bit values of a central header's zip64 field for those that did not fit. */
static int read_zip64(const uint8_t *extra, size_t n, cara_zip_member *m) {
    int wanted =
        (m->size == UINT32_MAX) + (m->packed_size == UINT32_MAX) + (m->offset == UINT32_MAX);
    if (!wanted)
        return 0;
    while (n >= 4) {
        size_t len = cara_le16(extra + 2);
        if (len > n - 4)
            return -1;
        if (cara_le16(extra) == 1) {
            if (len < 8 * (size_t)wanted)
                return -1;
            const uint8_t *p = extra + 4;
            uint64_t *const values[] = {&m->size, &m->packed_size, &m->offset};
            for (int i = 0; i < 3; i++)
                if (*values[i] == UINT32_MAX) {
                    *values[i] = cara_le64(p);
                    p += 8;
                }
            return 0;
        }
        extra += 4 + len;
        n -= 4 + len;
    }
    return -1;
}

static int read_members(cara_zip *zip, cara_slice directory, cara_error *err) {
    size_t at = 0;
    for (size_t i = 0; i < zip->n; i++) {
        const uint8_t *p = directory.ptr + at;
        uint64_t position = zip->directory + at;
        if (directory.len - at < CENTRAL_SIZE || cara_le32(p) != 0x02014b50)
            return corrupt(err, position, "has fewer members than its directory says");
        size_t name_n = cara_le16(p + 28), extra_n = cara_le16(p + 30), note_n = cara_le16(p + 32);
        if (name_n + extra_n + note_n > directory.len - at - CENTRAL_SIZE)
            return corrupt(err, position, "has a directory entry that ends outside it");
        cara_zip_member *m = &zip->members[i];
        *m = (cara_zip_member){
            .name = cara_slice_of(p + CENTRAL_SIZE, name_n),
            .flags = cara_le16(p + 8),
            .method = cara_le16(p + 10),
            .crc = cara_le32(p + 16),
            .made_by = p[5],
            .attributes = cara_le32(p + 38),
            .packed_size = cara_le32(p + 20),
            .size = cara_le32(p + 24),
            .offset = cara_le32(p + 42),
        };
        if (read_zip64(p + CENTRAL_SIZE + name_n, extra_n, m))
            return corrupt(err, position, "lacks the 64-bit sizes that its directory refers to");
        at += CENTRAL_SIZE + name_n + extra_n + note_n;
    }
    return CARA_OK;
}

int cara_zip_open(cara_slice file, cara_arena *arena, cara_zip *zip, cara_error *err) {
    *zip = (cara_zip){.file = file};
    int64_t end = find_end(file);
    if (end < 0)
        return cara_fail(err, CARA_ERR_MODEL_CORRUPT, (int64_t)file.len,
                         "the file begins as a zip archive but has no directory at its end, so it "
                         "is cut short at %zu bytes; fetch it again",
                         file.len);
    const uint8_t *p = file.ptr + end;
    uint64_t count = cara_le16(p + 10), size = cara_le32(p + 12), offset = cara_le32(p + 16);
    uint64_t limit = (uint64_t)end;
    if (limit >= LOCATOR_SIZE && cara_le32(p - LOCATOR_SIZE) == 0x07064b50) {
        uint64_t end64 = cara_le64(p - LOCATOR_SIZE + 8);
        limit -= LOCATOR_SIZE;
        if (limit < END64_SIZE || end64 > limit - END64_SIZE ||
            cara_le32(file.ptr + end64) != 0x06064b50)
            return corrupt(err, limit, "points to a 64-bit end record that is not there");
        limit = end64;
        count = cara_le64(file.ptr + end64 + 32);
        size = cara_le64(file.ptr + end64 + 40);
        offset = cara_le64(file.ptr + end64 + 48);
    }
    if (size > limit || offset > limit - size)
        return corrupt(err, (uint64_t)end, "has a directory that lies outside the file");
    if (count > size / CENTRAL_SIZE || count > MAX_MEMBERS)
        return corrupt(err, (uint64_t)end, "declares more members than its directory can hold");
    zip->directory = offset;
    zip->n = (size_t)count;
    zip->members = cara_arena_alloc(arena, zip->n, sizeof *zip->members);
    if (!zip->members)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a zip directory of %zu members",
                         zip->n);
    return read_members(zip, cara_slice_of(file.ptr + offset, (size_t)size), err);
}

const cara_zip_member *cara_zip_find(cara_zip *zip, const char *name, size_t n) {
    for (size_t i = 0; i < zip->n; i++) {
        size_t at = (zip->next + i) % zip->n;
        cara_slice s = zip->members[at].name;
        if (s.len == n && (n == 0 || memcmp(s.ptr, name, n) == 0)) {
            zip->next = at + 1;
            return &zip->members[at];
        }
    }
    return NULL;
}

int cara_zip_packed(const cara_zip *zip, const cara_zip_member *m, cara_slice *out,
                    cara_error *err) {
    if (m->offset > zip->directory || zip->directory - m->offset < LOCAL_SIZE)
        return corrupt(err, m->offset, "has a member that lies outside it");
    const uint8_t *p = zip->file.ptr + m->offset;
    uint64_t room = zip->directory - m->offset - LOCAL_SIZE;
    uint64_t head = (uint64_t)cara_le16(p + 26) + cara_le16(p + 28);
    if (cara_le32(p) != 0x04034b50 || cara_le16(p + 26) != m->name.len || head > room ||
        (m->name.len && memcmp(p + LOCAL_SIZE, m->name.ptr, m->name.len) != 0))
        return corrupt(err, m->offset, "has a member whose header is not where it should be");
    if (m->packed_size > room - head)
        return corrupt(err, m->offset, "has a member that is larger than the file");
    *out = cara_slice_of(p + LOCAL_SIZE + head, (size_t)m->packed_size);
    return CARA_OK;
}

int cara_zip_data(const cara_zip *zip, const cara_zip_member *m, cara_slice *out, cara_error *err) {
    int shown = m->name.len > 80 ? 80 : (int)m->name.len;
    const char *name = (const char *)m->name.ptr;
    if (m->flags & 1)
        return cara_fail(err, CARA_ERR_MODEL_FORMAT, (int64_t)m->offset,
                         "member %.*s is encrypted; save the model without a password", shown,
                         name);
    if (m->method != 0)
        return cara_fail(err, CARA_ERR_MODEL_FORMAT, (int64_t)m->offset,
                         "member %.*s is compressed (method %u), but torch.save() stores its "
                         "members as they are; save the model again with it",
                         shown, name, (unsigned)m->method);
    if (m->size != m->packed_size)
        return corrupt(err, m->offset, "has a member that lies outside it");
    return cara_zip_packed(zip, m, out, err);
}
