#include "deploy/package/tar.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, MOST_META = 65536, MOST_HEADERS = 8 };

int cara_tar_is_gzip(cara_slice file) {
    return file.len >= 2 && file.ptr[0] == 0x1f && file.ptr[1] == 0x8b;
}

/* Digits to the first blank or NUL; or, with the top bit set, a big-endian binary number. */
static int read_number(const uint8_t *field, size_t n, int base, uint64_t *out) {
    uint64_t value = 0;
    if (field[0] & 0x80) {
        for (size_t i = 0; i < n; i++) {
            if (value >> 55)
                return -1;
            value = value << 8 | (i == 0 ? field[0] & 0x7f : field[i]);
        }
        *out = value;
        return 0;
    }
    size_t i = 0;
    while (i < n && field[i] == ' ')
        i++;
    for (; i < n && field[i] && field[i] != ' '; i++) {
        if (field[i] < '0' || field[i] >= '0' + base || value >> 58)
            return -1;
        value = value * (uint64_t)base + (uint64_t)(field[i] - '0');
    }
    *out = value;
    return 0;
}

static int has_checksum(const uint8_t *block) {
    uint64_t want, sum = 0;
    if (read_number(block + 148, 8, 8, &want))
        return 0;
    for (int i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return sum == want;
}

int cara_tar_is(cara_slice file) {
    return file.len >= BLOCK && has_checksum(file.ptr);
}

int cara_tar_open(cara_tar *tar, cara_slice file, uint64_t limit, cara_error *err) {
    *tar = (cara_tar){.bytes = file, .left = limit, .is_gzip = cara_tar_is_gzip(file)};
    if (tar->is_gzip && inflateInit2(&tar->z, 16 + MAX_WBITS) != Z_OK) {
        tar->is_gzip = 0;
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to unpack gzip");
    }
    return CARA_OK;
}

void cara_tar_close(cara_tar *tar) {
    if (tar->is_gzip)
        inflateEnd(&tar->z);
    tar->is_gzip = 0;
}

/* At most n bytes to dst. Fewer at the end, or where gzip is damaged. */
static size_t inflate_some(cara_tar *tar, uint8_t *dst, size_t n) {
    z_stream *z = &tar->z;
    z->next_out = dst;
    z->avail_out = (uInt)n;
    while (z->avail_out) {
        uInt in = tar->bytes.len > 1 << 20 ? 1 << 20 : (uInt)tar->bytes.len;
        z->next_in = (Bytef *)(uintptr_t)tar->bytes.ptr; /* zlib does not write there */
        z->avail_in = in;
        int status = inflate(z, Z_NO_FLUSH);
        tar->bytes =
            cara_slice_of(tar->bytes.ptr + (in - z->avail_in), tar->bytes.len - (in - z->avail_in));
        if (status == Z_STREAM_END && cara_tar_is_gzip(tar->bytes)) /* another member */
            status = inflateReset(z);
        if (status != Z_OK)
            break;
    }
    return n - z->avail_out;
}

/* Exactly n bytes to dst (NULL: skipped); fewer at the end. */
static uint64_t take(cara_tar *tar, uint8_t *dst, uint64_t n) {
    if (n > tar->left)
        n = tar->left;
    uint64_t done = 0;
    if (!tar->is_gzip) {
        done = n < tar->bytes.len ? n : tar->bytes.len;
        if (dst)
            memcpy(dst, tar->bytes.ptr, (size_t)done);
        tar->bytes = cara_slice_of(tar->bytes.ptr + done, tar->bytes.len - (size_t)done);
    } else {
        uint8_t scratch[16384];
        while (done < n) {
            size_t room = dst ? (size_t)(n - done) : sizeof scratch;
            if (room > n - done)
                room = (size_t)(n - done);
            size_t got = inflate_some(tar, dst ? dst + done : scratch, room);
            done += got;
            if (got < room)
                break;
        }
    }
    tar->left -= done;
    return done;
}

/* What headers before an entry's own say of it. */
typedef struct meta {
    char name[CARA_TAR_NAME];
    uint64_t size;
    int has_size;
} meta;

/* "path" and "size" in a pax header: records "LENGTH path=VALUE\n". */
static void read_pax(const char *text, size_t n, meta *m) {
    while (n) {
        size_t digits = 0, length = 0;
        while (digits < n && text[digits] >= '0' && text[digits] <= '9' && length < MOST_META)
            length = length * 10 + (size_t)(text[digits++] - '0');
        if (digits + 1 >= length || length > n || text[digits] != ' ')
            return;
        const char *record = text + digits + 1;
        size_t have = length - digits - 2; /* without the newline */
        if (have >= 5 && have - 5 < CARA_TAR_NAME && memcmp(record, "path=", 5) == 0)
            snprintf(m->name, CARA_TAR_NAME, "%.*s", (int)(have - 5), record + 5);
        else if (have > 5 && have - 5 <= 17 && memcmp(record, "size=", 5) == 0)
            m->has_size = read_number((const uint8_t *)record + 5, have - 5, 10, &m->size) == 0;
        text += length;
        n -= length;
    }
}

static int broken(cara_error *err, const char *why) {
    return cara_fail(err, CARA_ERR_USAGE, -1, "the tar archive %s", why);
}

/* The content of a header of type 'x' or 'L', which is next. */
static int read_meta(cara_tar *tar, char type, uint64_t size, meta *m, cara_error *err) {
    uint8_t text[MOST_META];
    if (size >= sizeof text)
        return broken(err, "has a name that is too long");
    if (take(tar, text, size) < size)
        return broken(err, "is cut short");
    tar->unread -= size;
    if (type == 'x')
        read_pax((const char *)text, (size_t)size, m);
    else
        snprintf(m->name, sizeof m->name, "%.*s", (int)size, (const char *)text);
    return CARA_OK;
}

/* The next header into b: 1, or 0 at the end. */
static int read_header(cara_tar *tar, uint8_t b[BLOCK], uint64_t *size, cara_error *err) {
    static const uint8_t zeros[BLOCK];
    if (take(tar, NULL, tar->unread) < tar->unread)
        return broken(err, "is cut short");
    tar->unread = 0;
    uint64_t got = take(tar, b, BLOCK);
    if (got == 0 || (got == BLOCK && memcmp(b, zeros, BLOCK) == 0))
        return tar->left ? 0 : broken(err, "is larger than it may be");
    if (got < BLOCK)
        return broken(err, "is cut short");
    if (!has_checksum(b) || read_number(b + 124, 12, 8, size))
        return broken(err, "is damaged");
    return 1;
}

static void set_name(cara_tar_entry *entry, const uint8_t *b, const char *long_name) {
    int folder = memcmp(b + 257, "ustar", 5) == 0 ? (int)strnlen((const char *)b + 345, 155) : 0;
    char name[CARA_TAR_NAME];
    snprintf(name, sizeof name, "%.*s%s%.*s", folder, (const char *)b + 345, folder ? "/" : "", 100,
             (const char *)b);
    const char *from = long_name[0] ? long_name : name;
    while (strncmp(from, "./", 2) == 0)
        from += 2;
    snprintf(entry->name, sizeof entry->name, "%s", from);
}

int cara_tar_next(cara_tar *tar, cara_tar_entry *entry, cara_error *err) {
    meta m = {.name = ""};
    for (int i = 0; i < MOST_HEADERS; i++) {
        uint8_t b[BLOCK];
        uint64_t size = 0;
        int rc = read_header(tar, b, &size, err);
        if (rc <= 0)
            return rc;
        char type = b[156] ? (char)b[156] : '0';
        int is_meta = type == 'x' || type == 'L' || type == 'g' || type == 'K';
        if (!is_meta && m.has_size)
            size = m.size;
        if (size > tar->left)
            return broken(err, "is cut short, or larger than it may be");
        tar->unread = (size + BLOCK - 1) / BLOCK * BLOCK;
        if (type == 'x' || type == 'L')
            rc = read_meta(tar, type, size, &m, err);
        if (rc < 0)
            return rc;
        if (is_meta)
            continue;
        if (!tar->is_gzip && size > tar->bytes.len)
            return broken(err, "is cut short");
        set_name(entry, b, m.name);
        entry->type = type;
        entry->size = size;
        entry->data = cara_slice_of(tar->bytes.ptr, tar->is_gzip ? 0 : (size_t)size);
        return 1;
    }
    return broken(err, "has too many headers for one file");
}
