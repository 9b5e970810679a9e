#include "audio/ogg/pages.h"

#define CHUNK ((size_t)16 * 1024)
#define PAGE_MAX ((size_t)27 + 255 + 255 * 255)

void cara_ogg_pages_open(cara_ogg_pages *pages, cara_slice bytes) {
    *pages = (cara_ogg_pages){.bytes = bytes};
    ogg_sync_init(&pages->sync);
}

/* More bytes for libogg. Behind the last one come zeros, once, as many as a page can have: a
 * damaged header that asks for more bytes than there are would otherwise hide the pages behind it.
 * Returns 0 at the end of these, too. */
static int feed(cara_ogg_pages *pages, cara_error *err) {
    size_t len = pages->bytes.len, n = CHUNK;
    if (pages->fed >= len + PAGE_MAX)
        return 0;
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

int cara_ogg_pages_next(cara_ogg_pages *pages, ogg_page *page, cara_error *err) {
    size_t len = pages->bytes.len;
    pages->damage = 0;
    while (pages->at < len) {
        long n = ogg_sync_pageseek(&pages->sync, page);
        if (n < 0) {
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
