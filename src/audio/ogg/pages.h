/* The pages of an Ogg file in memory, by libogg: those whose checksum is right, in order. */
#ifndef AUDIO_OGG_PAGES_H
#define AUDIO_OGG_PAGES_H

#include "base/error.h"
#include "base/files/stream.h"
#include "base/slice.h"

#include <ogg/ogg.h>

typedef struct cara_ogg_pages {
    cara_slice bytes;
    cara_stop stop;
    ogg_sync_state sync; /* libogg's copy of some 64 KiB */
    size_t fed;          /* how many bytes libogg has got, zeros at the end included */
    size_t at;       /* where the next page is searched: behind the last one, or behind damage */
    size_t page_end; /* behind the last page */
    size_t in_vain;  /* bytes of damaged pages whose checksum was calculated */
    int damage;      /* 1 where bytes were passed over before the page that came last */
    int cut;         /* known at the end: 1 where a piece of a page follows the last one */
} cara_ogg_pages;

/* Borrows `bytes`; `stop` is asked with every 16 KiB. It cannot fail. */
void cara_ogg_pages_open(cara_ogg_pages *pages, cara_slice bytes, cara_stop stop);

/* CARA_OK, or CANCELLED where `stop` says so. */
int cara_ogg_pages_ask(const cara_ogg_pages *pages, cara_error *err);

/* 1: *page is the next page, which points into `pages` until the next call; 0: there is none;
 * MEMORY, CANCELLED. */
int cara_ogg_pages_next(cara_ogg_pages *pages, ogg_page *page, cara_error *err);

void cara_ogg_pages_close(cara_ogg_pages *pages);

#endif
