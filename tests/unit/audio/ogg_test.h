/* Ogg pages for tests: found in a file, changed, and made. */
#ifndef OGG_TEST_H
#define OGG_TEST_H

#include "audio_test.h"

/* Where page `index` starts, or the end. */
static inline size_t page_at(const blob *b, int index) {
    size_t at = 0;
    while (index-- > 0 && at + 27 <= b->n) {
        size_t size = 27 + (size_t)b->data[at + 26];
        for (int i = 0; i < b->data[at + 26]; i++)
            size += b->data[at + 27 + (size_t)i];
        at += size;
    }
    return at;
}

/* Ogg's checksum, so that a test's own change of a page is accepted. */
static inline void seal(blob *b, size_t at, size_t size) {
    uint32_t crc = 0;
    memset(b->data + at + 22, 0, 4);
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint32_t)b->data[at + i] << 24;
        for (int k = 0; k < 8; k++)
            crc = crc << 1 ^ (crc & 0x80000000U ? 0x04c11db7U : 0);
    }
    for (int k = 0; k < 4; k++)
        b->data[at + 22 + (size_t)k] = (uint8_t)(crc >> 8 * k);
}

enum { CONTINUED = 1, FIRST = 2, LAST = 4 };

typedef struct packet {
    const void *data;
    size_t n;
} packet;

static inline void add_bytes(blob *b, const void *bytes, size_t n) {
    b->data = realloc(b->data, b->n + n + 1);
    assert_non_null(b->data);
    if (n)
        memcpy(b->data + b->n, bytes, n);
    b->n += n;
}

/* Adds a page of `n` packets; with `open` the last of them goes on on the next page, and is a
 * multiple of 255 bytes. */
static inline void add_page(blob *b, int flags, uint32_t serial, uint32_t number, int64_t granule,
                            const packet *packets, int n, int open) {
    uint8_t head[27 + 255] = {'O', 'g', 'g', 'S', 0, (uint8_t)flags};
    int sizes = 0;
    for (int k = 0; k < 8; k++)
        head[6 + k] = (uint8_t)((uint64_t)granule >> 8 * k);
    for (int k = 0; k < 4; k++) {
        head[14 + k] = (uint8_t)(serial >> 8 * k);
        head[18 + k] = (uint8_t)(number >> 8 * k);
    }
    for (int i = 0; i < n; i++) {
        size_t left = packets[i].n;
        for (; left >= 255 && sizes < 255; left -= 255)
            head[27 + sizes++] = 255;
        if ((!open || i + 1 < n) && sizes < 255)
            head[27 + sizes++] = (uint8_t)left;
        assert_true(left < 255);
    }
    head[26] = (uint8_t)sizes;
    size_t at = b->n;
    add_bytes(b, head, 27 + (size_t)sizes);
    for (int i = 0; i < n; i++)
        add_bytes(b, packets[i].data, packets[i].n);
    seal(b, at, b->n - at);
}

#define VOICE_PACKETS 31
#define VOICE_PACKET 2880 /* samples of each at 48 kHz; of the last, 1920 */
#define VOICE_END 87993   /* the granule position of the last */
#define VOICE_SAMPLES 29227
#define VOICE_UNCUT 29336 /* with all of the last packet */

/* The packets of tests/data/audio/speech.ogg: OpusHead, OpusTags and the sound. */
typedef struct voice {
    blob file;
    packet head, tags, sound[VOICE_PACKETS];
    samples pcm; /* decoded from the file as it is */
} voice;

static inline voice voice_open(void) {
    voice v = {.file = fixture("audio/speech.ogg")};
    int n = 0;
    for (int page = 0; page < 4; page++) {
        size_t at = page_at(&v.file, page), sizes = v.file.data[at + 26], size = 0;
        const uint8_t *data = v.file.data + at + 27 + sizes;
        for (size_t i = 0; i < sizes; i++) {
            size += v.file.data[at + 27 + i];
            if (v.file.data[at + 27 + i] == 255)
                continue;
            packet p = {data, size};
            if (page == 0)
                v.head = p;
            else if (page == 1)
                v.tags = p;
            else
                v.sound[n++] = p;
            data += size;
            size = 0;
        }
    }
    assert_int_equal(n, VOICE_PACKETS);
    decoded d = decode(v.file.data, v.file.n, NULL, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.got.n, VOICE_SAMPLES);
    v.pcm = d.got;
    return v;
}

static inline void voice_close(voice *v) {
    free(v->file.data);
    free(v->pcm.pcm);
}

/* How the sound of a voice is put on pages. */
typedef struct paging {
    int on_each; /* packets a page */
    uint32_t serial;
    int64_t before; /* added to each granule position */
    int unnumbered; /* every page has the number 0 */
    int no_end;     /* no page is marked as the last */
} paging;

static inline int pages_of(const paging *how) {
    return (VOICE_PACKETS + how->on_each - 1) / how->on_each;
}

static inline int64_t page_granule(const paging *how, int page) {
    int64_t end = (int64_t)(page + 1) * how->on_each * VOICE_PACKET;
    return (end < VOICE_END ? end : VOICE_END) + how->before;
}

/* Adds page `page` of the sound; its number is `page` + 2. */
static inline void add_sound(blob *b, const voice *v, const paging *how, int page) {
    int first = page * how->on_each, n = how->on_each;
    if (n > VOICE_PACKETS - first)
        n = VOICE_PACKETS - first;
    add_page(b, page + 1 == pages_of(how) && !how->no_end ? LAST : 0, how->serial,
             how->unnumbered ? 0 : (uint32_t)page + 2, page_granule(how, page), v->sound + first, n,
             0);
}

static inline void add_headers(blob *b, const voice *v, const paging *how) {
    add_page(b, FIRST, how->serial, 0, 0, &v->head, 1, 0);
    add_page(b, 0, how->serial, !how->unnumbered, 0, &v->tags, 1, 0);
}

/* The whole file. */
static inline blob voice_file(const voice *v, const paging *how) {
    blob b = {0};
    add_headers(&b, v, how);
    for (int page = 0; page < pages_of(how); page++)
        add_sound(&b, v, how, page);
    return b;
}

/* Streams side by side. That with the serial 8 has three packets of the voice, the
 * other all. */
static inline void add_beside(blob *b, const voice *v, const paging *how, uint8_t channels,
                              int first) {
    uint8_t head[19], other_head[19];
    memcpy(head, v->head.data, 19);
    memcpy(other_head, v->head.data, 19);
    other_head[9] = channels;
    const packet heads[2] = {{head, 19}, {other_head, 19}};
    add_page(b, FIRST, first ? 8 : 7, 0, 0, &heads[first ? 1 : 0], 1, 0);
    add_page(b, FIRST, first ? 7 : 8, 0, 0, &heads[first ? 0 : 1], 1, 0);
    add_page(b, 0, 7, 1, 0, &v->tags, 1, 0);
    add_page(b, 0, 8, 1, 0, &v->tags, 1, 0);
    for (int page = 0; page < pages_of(how); page++) {
        add_sound(b, v, how, page);
        if (page < 3)
            add_page(b, page == 2 ? LAST : 0, 8, (uint32_t)page + 2, (page + 1) * VOICE_PACKET,
                     v->sound + 4 * page, 1, 0);
    }
}

#endif
