/* ISO 14496-12, sections 8.6 to 8.8, and QuickTime's file format where it differs. */
#include "audio/mp4.h"

#define DEPTH 10 /* of nested boxes; as in libav */

#define TYPE(a, b, c, d)                                                                           \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

typedef struct box {
    uint32_t type;
    size_t at, body, end; /* offsets in the file; end is cut to that of the box around it */
} box;

/* One track's tables: offsets of their bodies, 0 where the track has none. */
typedef struct track {
    size_t trak; /* of the type of its box */
    uint32_t id;
    int has_sound, has_other; /* its handler says so */
    box sizes, chunks, offsets, durations, shifts, edits;
    size_t n_tables; /* of those types that were found */
} track;

typedef struct known_track {
    uint32_t id;
    int hidden;
    uint32_t size; /* of a sample of a fragment that says nothing else */
} known_track;

typedef struct scan {
    cara_slice bytes;
    cara_stop stop;
    cara_mp4 *mp4;
    cara_error *err;
    size_t index; /* bytes of moov boxes, which hold no sound */
    uint64_t samples, rows, fragments;
    uint64_t fragment_bytes; /* that samples of fragments claim */
    uint64_t edit_steps;
    uint64_t steps;
    known_track known[CARA_MP4_TRACKS];
    size_t n_known, n_tracks;
    track *now;        /* inside a trak box */
    known_track *frag; /* inside a traf box, after its tfhd */
} scan;

static uint32_t u32(const scan *s, size_t at) {
    const uint8_t *p = s->bytes.ptr + at;
    return at + 4 <= s->bytes.len ? TYPE(p[0], p[1], p[2], p[3]) : 0;
}

static uint64_t u64(const scan *s, size_t at) {
    return (uint64_t)u32(s, at) << 32 | u32(s, at + 4);
}

static int corrupt(const scan *s, size_t at, const char *what) {
    return cara_fail(s->err, CARA_ERR_AUDIO_CORRUPT, (int64_t)at,
                     "this MP4 or MOV file cannot be read: %s", what);
}

static int beyond(const scan *s, size_t at, const char *what, unsigned limit) {
    return cara_fail(s->err, CARA_ERR_AUDIO_LIMIT, (int64_t)at,
                     "this MP4 or MOV file has more than %u %s; convert it to another format first",
                     limit, what);
}

/* Called for every so many steps of any loop. */
static int poll_stop(scan *s) {
    if (++s->steps % 4096 || !s->stop.stop || !s->stop.stop(s->stop.cookie))
        return CARA_OK;
    return cara_fail(s->err, CARA_ERR_CANCELLED, -1, "reading the audio was stopped");
}

/* ---- one track ---- */

static int is_table(uint32_t type) {
    switch (type) {
    case TYPE('s', 't', 's', 'z'):
    case TYPE('s', 't', 'z', '2'):
    case TYPE('s', 't', 's', 'c'):
    case TYPE('s', 't', 'c', 'o'):
    case TYPE('c', 'o', '6', '4'):
    case TYPE('s', 't', 't', 's'):
    case TYPE('c', 't', 't', 's'):
    case TYPE('e', 'l', 's', 't'):
        return 1;
    default:
        return 0;
    }
}

/* A table whose entries are `size` bytes each must lie in the file. */
static int check_table(const scan *s, const box *b, size_t header, uint64_t n, unsigned bits,
                       const char *what) {
    size_t left = b->body + header <= s->bytes.len ? s->bytes.len - b->body - header : 0;
    if (!b->body || n * bits / 8 <= left)
        return CARA_OK;
    return cara_fail(
        s->err, CARA_ERR_AUDIO_CORRUPT, (int64_t)b->at,
        "this MP4 or MOV file cannot be read: it lists %llu %s and ends before they do",
        (unsigned long long)n, what);
}

typedef struct sizes {
    uint64_t n;
    uint32_t all; /* of each sample, or 0: `bits` for each from `table` on */
    unsigned bits;
    size_t table;
} sizes;

static int read_sizes(const scan *s, const box *b, sizes *out) {
    int compact = b->type == TYPE('s', 't', 'z', '2');
    *out = (sizes){.n = u32(s, b->body + 8),
                   .all = compact ? 0 : u32(s, b->body + 4),
                   .bits = compact ? u32(s, b->body + 4) & 255 : 32,
                   .table = b->body + 12};
    return out->all ? CARA_OK : check_table(s, b, 12, out->n, out->bits, "sizes of samples");
}

static uint32_t size_of(const scan *s, const sizes *z, uint64_t i) {
    if (z->all)
        return z->all;
    if (z->bits == 32)
        return u32(s, z->table + 4 * (size_t)i);
    if (z->bits == 16)
        return u32(s, z->table + 2 * (size_t)i) >> 16;
    if (z->bits == 8)
        return u32(s, z->table + (size_t)i) >> 24;
    return z->bits == 4 ? u32(s, z->table + (size_t)i / 2) >> (i % 2 ? 24 : 28) & 15 : 0;
}

/* Chunk after chunk: how many samples libav lists, and how many bytes of the file they are. */
static int add_up_chunks(scan *s, const track *t, const sizes *z, uint64_t *bytes) {
    int wide = t->offsets.type == TYPE('c', 'o', '6', '4');
    uint64_t n = u32(s, t->offsets.body + 4), rows = u32(s, t->chunks.body + 4), row = 0, at = 0;
    *bytes = 0;
    for (uint64_t i = 0; i < n && rows; i++) {
        int rc = poll_stop(s);
        if (rc)
            return rc;
        size_t place = t->offsets.body + 8 + (size_t)i * (wide ? 8 : 4);
        uint64_t offset = wide ? u64(s, place) : u32(s, place);
        while (row + 1 < rows && u32(s, t->chunks.body + 8 + 12 * (size_t)(row + 1)) <= i + 1)
            row++;
        uint64_t count = u32(s, t->chunks.body + 8 + 12 * (size_t)row + 4), sum = 0;
        uint64_t left = offset < s->bytes.len ? s->bytes.len - offset : 0;
        if (count > z->n - at)
            count = z->n - at;
        if (z->all) {
            sum = count * z->all;
        } else {
            for (uint64_t k = 0; k < count; k++) {
                sum += size_of(s, z, at + k);
                if ((rc = poll_stop(s)))
                    return rc;
            }
        }
        at += count;
        *bytes += sum < left ? sum : left;
    }
    return CARA_OK;
}

/* How many entries libav makes: one for each sample, or, for plain PCM, one for each 1024. */
static uint64_t count_entries(const scan *s, const track *t, const sizes *z) {
    const box *d = &t->durations;
    if (!d->body || u32(s, d->body + 4) != 1 || u32(s, d->body + 12) != 1)
        return z->n;
    uint64_t rows = u32(s, t->chunks.body + 4), chunks = u32(s, t->offsets.body + 4), total = 0;
    for (uint64_t i = 0; i < rows; i++) {
        size_t at = t->chunks.body + 8 + 12 * (size_t)i;
        uint64_t first = u32(s, at), next = i + 1 < rows ? u32(s, at + 12) : chunks + 1;
        total += (next > first ? next - first : 0) * (((uint64_t)u32(s, at + 4) + 1023) / 1024);
    }
    return total;
}

/* libav also reads tables from boxes that should have none in them, such as the description of the
 * codec. */
static int check_places(scan *s, const track *t, size_t end) {
    size_t n = 0;
    for (size_t at = t->trak + 4; end - at >= 4; at++) {
        int rc = poll_stop(s);
        if (rc)
            return rc;
        uint32_t type = u32(s, at);
        n += is_table(type);
        if (type == TYPE('c', 'm', 'o', 'v') || type == TYPE('m', 'o', 'o', 'v'))
            return corrupt(s, at, "a track of it holds another index");
    }
    return n > t->n_tables ? corrupt(s, t->trak, "a track of it has tables at a wrong place")
                           : CARA_OK;
}

static int check_edits(scan *s, const track *t, uint64_t entries) {
    if (!t->edits.body)
        return CARA_OK;
    uint64_t edits = (t->edits.end - t->edits.body) / 12;
    uint64_t shifts = t->shifts.body ? u32(s, t->shifts.body + 4) : 0;
    s->edit_steps += edits * (entries + shifts);
    return s->edit_steps > CARA_MP4_EDIT_STEPS
               ? corrupt(s, t->edits.at, "its edit list is far longer than real ones are")
               : CARA_OK;
}

static int check_track(scan *s, const track *t) {
    sizes z = {0};
    uint64_t bytes = 0, entries;
    int rc = t->sizes.body ? read_sizes(s, &t->sizes, &z) : CARA_OK;
    if (!rc)
        rc = check_table(s, &t->durations, 8, u32(s, t->durations.body + 4), 64,
                         "durations of samples");
    if (!rc)
        rc = check_table(s, &t->shifts, 8, u32(s, t->shifts.body + 4), 64,
                         "time offsets of samples");
    if (!rc)
        rc = check_table(s, &t->chunks, 8, u32(s, t->chunks.body + 4), 96, "sizes of chunks");
    if (!rc)
        rc = check_table(s, &t->offsets, 8, u32(s, t->offsets.body + 4),
                         t->offsets.type == TYPE('c', 'o', '6', '4') ? 64 : 32, "places of chunks");
    if (rc || !t->sizes.body || !t->chunks.body || !t->offsets.body)
        return rc;
    /* Tables of several tracks can be the same bytes. */
    s->rows += (uint64_t)u32(s, t->offsets.body + 4) + u32(s, t->chunks.body + 4);
    if (s->rows > CARA_MP4_SAMPLES)
        return beyond(s, t->trak, "chunks in its index", CARA_MP4_SAMPLES);
    entries = count_entries(s, t, &z);
    s->samples += entries;
    if (s->samples > CARA_MP4_SAMPLES)
        return beyond(s, t->trak, "samples in its index", CARA_MP4_SAMPLES);
    rc = check_edits(s, t, entries);
    if (rc)
        return rc;
    rc = add_up_chunks(s, t, &z, &bytes);
    size_t there = s->bytes.len > s->index ? s->bytes.len - s->index : 0;
    if (!rc && bytes / 2 > there + 32768)
        rc = corrupt(s, t->trak, "its index lists the same bytes again and again");
    return rc;
}

/* ---- fragments ---- */

static known_track *find_known(scan *s, uint32_t id) {
    for (size_t i = 0; i < s->n_known; i++)
        if (s->known[i].id == id)
            return &s->known[i];
    return NULL;
}

static void add_known(scan *s, uint32_t id, int hidden) {
    if (s->n_known < CARA_MP4_TRACKS)
        s->known[s->n_known++] = (known_track){.id = id, .hidden = hidden};
}

static void read_tfhd(scan *s, const box *b) {
    uint32_t flags = u32(s, b->body) & 0xFFFFFF;
    size_t at = b->body + 8;
    s->frag = find_known(s, u32(s, b->body + 4));
    if (!s->frag || !(flags & 0x10))
        return;
    at += (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0) + (flags & 8 ? 4 : 0);
    s->frag->size = u32(s, at);
}

/* A run of samples. Those whose fields lie beyond the end of the file are not there. */
static int read_trun(scan *s, const box *b) {
    if (!s->frag || s->frag->hidden)
        return CARA_OK;
    uint32_t flags = u32(s, b->body) & 0xFFFFFF;
    uint64_t n = u32(s, b->body + 4), width = 0;
    size_t at = b->body + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
    for (uint32_t bit = 0x100; bit <= 0x800; bit <<= 1)
        width += flags & bit ? 4 : 0;
    s->samples += n;
    if (s->samples > CARA_MP4_SAMPLES)
        return beyond(s, b->at, "samples in its fragments", CARA_MP4_SAMPLES);
    uint64_t left = at < s->bytes.len ? s->bytes.len - at : 0;
    if (width && n > left / width)
        n = left / width;
    if (!(flags & 0x200))
        s->fragment_bytes += n * s->frag->size;
    for (uint64_t i = 0; i < n && flags & 0x200; i++) {
        s->fragment_bytes += u32(s, at + (size_t)(i * width) + (flags & 0x100 ? 4 : 0));
        int rc = poll_stop(s);
        if (rc)
            return rc;
    }
    if (s->fragment_bytes / 2 > (uint64_t)s->bytes.len + 32768)
        return corrupt(s, b->at, "its fragments list more sound than the file can hold");
    return CARA_OK;
}

static int read_fragment_index(scan *s, const box *b) {
    if (b->type == TYPE('s', 'i', 'd', 'x'))
        s->fragments += u32(s, b->body + (s->bytes.ptr[b->body] ? 28 : 20)) & 0xFFFF;
    else
        s->fragments += u32(s, b->body + 12);
    return s->fragments > CARA_MP4_FRAGMENTS
               ? beyond(s, b->at, "fragments in its index", CARA_MP4_FRAGMENTS)
               : CARA_OK;
}

/* ---- boxes ---- */

/* 1 where a box starts at `at`. */
static int box_at(const scan *s, size_t at, size_t end, box *b) {
    if (at > end || end - at < 8)
        return 0;
    uint64_t size = u32(s, at);
    *b = (box){.type = u32(s, at + 4), .at = at, .body = at + 8, .end = end};
    if (size == 1 && end - at >= 16) {
        size = u64(s, at + 8);
        b->body += 8;
    } else if (size == 0) {
        return 1; /* to the end */
    }
    if (size < b->body - at)
        return 0;
    if (size < end - at)
        b->end = at + (size_t)size;
    return 1;
}

/* Handlers of tracks without sound. What is neither here nor "soun" may hold some. */
static int is_other_handler(uint32_t type) {
    static const char names[][5] = {"vide", "auxv", "text", "sbtl", "subt", "subp",
                                    "clcp", "tmcd", "meta", "hint", "pict"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (type == TYPE(names[i][0], names[i][1], names[i][2], names[i][3]))
            return 1;
    return 0;
}

static int walk(scan *s, size_t at, size_t end, int depth);

static int walk_trak(scan *s, const box *b, int depth) {
    if (s->n_tracks++ == CARA_MP4_TRACKS)
        return beyond(s, b->at, "tracks", CARA_MP4_TRACKS);
    track t = {.trak = b->at + 4}, *outer = s->now;
    s->now = &t;
    int rc = walk(s, b->body, b->end, depth + 1);
    s->now = outer;
    if (rc)
        return rc;
    int hidden = t.has_other && !t.has_sound && !outer;
    add_known(s, t.id, hidden);
    if (!hidden) {
        rc = check_places(s, &t, b->end);
        return rc ? rc : check_track(s, &t);
    }
    s->mp4->hidden[s->mp4->n_hidden++] = t.trak;
    return CARA_OK;
}

/* Boxes inside a track. */
static void read_track_box(scan *s, const box *b) {
    track *t = s->now;
    t->n_tables += (size_t)is_table(b->type);
    switch (b->type) {
    case TYPE('t', 'k', 'h', 'd'):
        t->id = u32(s, b->body + (s->bytes.ptr[b->body] == 1 ? 20 : 12));
        break;
    case TYPE('h', 'd', 'l', 'r'):
        t->has_sound |= u32(s, b->body + 8) == TYPE('s', 'o', 'u', 'n');
        t->has_other |= is_other_handler(u32(s, b->body + 8));
        break;
    case TYPE('s', 't', 's', 'z'):
    case TYPE('s', 't', 'z', '2'):
        t->sizes = *b;
        break;
    case TYPE('s', 't', 's', 'c'):
        if (!t->chunks.body)
            t->chunks = *b;
        break;
    case TYPE('s', 't', 'c', 'o'):
    case TYPE('c', 'o', '6', '4'):
        if (!t->offsets.body)
            t->offsets = *b;
        break;
    case TYPE('s', 't', 't', 's'):
        t->durations = *b;
        break;
    case TYPE('c', 't', 't', 's'):
        t->shifts = *b;
        break;
    case TYPE('e', 'l', 's', 't'):
        t->edits = *b;
        break;
    default:
        break;
    }
}

/* libav takes these for the index, too. */
static int is_spare_index(const scan *s, const box *b) {
    uint32_t first = u32(s, b->body + 4);
    return b->type == TYPE('h', 'o', 'o', 'v') ||
           (b->type == TYPE('f', 'r', 'e', 'e') &&
            (first == TYPE('m', 'v', 'h', 'd') || first == TYPE('c', 'm', 'o', 'v')));
}

/* Of ISO's and of QuickTime's, where its boxes begin: libav looks for the first one. */
static int walk_meta(scan *s, const box *b, int depth) {
    for (size_t at = b->body; at + 8 <= b->end; at += 4)
        if (u32(s, at + 4) == TYPE('h', 'd', 'l', 'r'))
            return walk(s, at, b->end, depth + 1);
    return CARA_OK;
}

static int read_box(scan *s, const box *b, int depth) {
    known_track *known;
    if (is_spare_index(s, b))
        return walk(s, b->body, b->end, depth + 1);
    switch (b->type) {
    case TYPE('c', 'm', 'o', 'v'):
        return cara_fail(s->err, CARA_ERR_AUDIO_FORMAT, (int64_t)b->at,
                         "the index of this MOV file is compressed, which is not read here; "
                         "convert it to another format first");
    case TYPE('m', 'e', 't', 'a'):
        return walk_meta(s, b, depth);
    case TYPE('t', 'r', 'a', 'k'):
        return walk_trak(s, b, depth);
    case TYPE('m', 'o', 'o', 'v'):
        s->index += b->end - b->at;
        return walk(s, b->body, b->end, depth + 1);
    case TYPE('t', 'r', 'a', 'f'):
        s->frag = NULL;
        return walk(s, b->body, b->end, depth + 1);
    case TYPE('m', 'd', 'i', 'a'):
    case TYPE('m', 'i', 'n', 'f'):
    case TYPE('s', 't', 'b', 'l'):
    case TYPE('e', 'd', 't', 's'):
    case TYPE('m', 'v', 'e', 'x'):
    case TYPE('m', 'o', 'o', 'f'):
    case TYPE('m', 'f', 'r', 'a'):
    /* Not for indexes, but libav reads any box in any of these. */
    case TYPE('u', 'd', 't', 'a'):
    case TYPE('i', 'l', 's', 't'):
    case TYPE('d', 'i', 'n', 'f'):
    case TYPE('t', 'r', 'e', 'f'):
    case TYPE('s', 'i', 'n', 'f'):
    case TYPE('w', 'a', 'v', 'e'):
        return walk(s, b->body, b->end, depth + 1);
    case TYPE('t', 'r', 'e', 'x'):
        known = find_known(s, u32(s, b->body + 4));
        if (known)
            known->size = u32(s, b->body + 16);
        return CARA_OK;
    case TYPE('t', 'f', 'h', 'd'):
        read_tfhd(s, b);
        return CARA_OK;
    case TYPE('t', 'r', 'u', 'n'):
        return read_trun(s, b);
    case TYPE('s', 'i', 'd', 'x'):
    case TYPE('t', 'f', 'r', 'a'):
        return read_fragment_index(s, b);
    default:
        if (s->now)
            read_track_box(s, b);
        return CARA_OK;
    }
}

static int walk(scan *s, size_t at, size_t end, int depth) {
    box b;
    while (depth <= DEPTH && box_at(s, at, end, &b)) {
        int rc = poll_stop(s);
        if (!rc && b.body < b.end)
            rc = read_box(s, &b, depth);
        if (rc)
            return rc;
        at = b.end;
    }
    return CARA_OK;
}

int cara_mp4_check(cara_slice bytes, cara_stop stop, cara_mp4 *mp4, cara_error *err) {
    scan s = {.bytes = bytes, .stop = stop, .mp4 = mp4, .err = err};
    mp4->n_hidden = 0;
    return walk(&s, 0, bytes.len, 0);
}
