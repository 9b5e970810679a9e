#include "audio/ogg/pages.h"

#define CHUNK ((size_t)16 * 1024)
#define PAGE_MAX ((size_t)27 + 255 + 255 * 255)

/* A page is up to 65307 bytes, and may seem to begin at each byte of a damaged one. In a file made
 * for that, the checksums would take minutes; after so many times its bytes, reading ends. */
#define IN_VAIN 16

void cara_ogg_pages_open(cara_ogg_pages *pages, cara_slice bytes, cara_stop stop) {
    *pages = (cara_ogg_pages){.bytes = bytes, .stop = stop};
    ogg_sync_init(&pages->sync);
}

int cara_ogg_pages_ask(const cara_ogg_pages *pages, cara_error *err) {
    if (pages->stop.stop && pages->stop.stop(pages->stop.cookie))
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "reading the audio was stopped");
    return CARA_OK;
}

/* More bytes for libogg. Behind the last one come zeros, once, as many as a page can have: a
 * damaged header that asks for more bytes than there are would otherwise hide the pages behind it.
 * Returns 0 at the end of these, too. */
static int feed(cara_ogg_pages *pages, cara_error *err) {
    size_t len = pages->bytes.len, n = CHUNK;
    if (pages->fed >= len + PAGE_MAX)
        return 0;
    int rc = cara_ogg_pages_ask(pages, err);
    if (rc)
        return rc;
    if (pages->fed >= len)
        n = PAGE_MAX;
    else if (n > len - pages->fed)
        n = len - pages->fed;
    char *dst = ogg_sync_buffer(&pages->sync, (long)n);
    if (!dst)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read the Ogg/Opus file");
    if (pages->fed < len)
        memcpy(dst, pages->bytes.ptr + pages->fed, n);
    else
        memset(dst, 0, n);
    ogg_sync_wrote(&pages->sync, (long)n);
    pages->fed += n;
    return 1;
}

/* Whether bytes hold the beginning of a page, or the first letters of one at their end. */
static int holds_page(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t left = n - i;
        if (memcmp(p + i, "OggS", left < 4 ? left : 4) == 0)
            return 1;
    }
    return 0;
}

/* The bytes over which libogg calculates the next checksum; 0 where no page begins. */
static size_t next_size(const ogg_sync_state *sync) {
    size_t have = (size_t)(sync->fill - sync->returned);
    if (have < 27)
        return 0;
    const unsigned char *p = sync->data + sync->returned;
    if (memcmp(p, "OggS", 4) != 0 || have < 27 + (size_t)p[26])
        return 0;
    size_t size = 27 + (size_t)p[26];
    for (int i = 0; i < p[26]; i++)
        size += p[27 + i];
    return size <= have ? size : 0;
}

int cara_ogg_pages_next(cara_ogg_pages *pages, ogg_page *page, cara_error *err) {
    size_t len = pages->bytes.len;
    pages->damage = 0;
    while (pages->at < len) {
        size_t size = next_size(&pages->sync);
        long n = ogg_sync_pageseek(&pages->sync, page);
        if (n < 0) {
            pages->in_vain += size;
            if (pages->in_vain / IN_VAIN > len + PAGE_MAX)
                break;
            pages->at += (size_t)-n;
            pages->damage = 1;
        } else if (n > 0) {
            if ((size_t)n > len - pages->at)
                break; /* a cut page that the zeros made whole */
            pages->at += (size_t)n;
            pages->page_end = pages->at;
            return 1;
        } else {
            int more = feed(pages, err);
            if (more < 0)
                return more;
            if (!more)
                break;
        }
    }
    pages->at = len;
    pages->cut = holds_page(pages->bytes.ptr + pages->page_end, len - pages->page_end);
    return 0;
}

void cara_ogg_pages_close(cara_ogg_pages *pages) {
    ogg_sync_clear(&pages->sync);
}
