/* The Opus packets of an Ogg file, in order, with what is missing between them.
 *
 * A file may be a chain: one stream after another, each with a header of its own (a link). Of
 * several streams side by side, that with the most channels is read, and of equals the first, as
 * ffmpeg does, unless a track is asked for. */
#ifndef AUDIO_OGG_STREAM_H
#define AUDIO_OGG_STREAM_H

#include "audio/ogg/head.h"
#include "audio/ogg/pages.h"
#include "audio/ogg/timing.h"
#include "base/memory/buf.h"

typedef enum cara_opus_kind {
    CARA_OPUS_END,
    CARA_OPUS_LINK,  /* what follows is of `head` */
    CARA_OPUS_GAP,   /* `samples` are lost here */
    CARA_OPUS_PACKET /* `packet` has `samples`, of which the first `keep` are to be played */
} cara_opus_kind;

typedef struct cara_opus_event {
    cara_opus_kind kind;
    const cara_opus_head *head; /* the stream's */
    cara_slice packet;          /* borrowed until the next event */
    int64_t samples, keep;      /* at 48 kHz */
} cara_opus_event;

typedef struct cara_opus_stream {
    cara_ogg_pages pages;
    int track; /* of the sound streams side by side, from 0; -1: that with the most channels */
    /* The file. */
    int64_t sound, concealed; /* samples given as packets, and as gaps */
    int damaged_packets;
    const char *refused; /* why a header could not be used; NULL: all could */
    int tracks;          /* sound streams that begin side by side, so far */
    uint32_t last_track; /* serial of the last of them */
    int other_codec;     /* `track` is there, and no Opus */
    int no_track;        /* nothing to read: `track` is not there, or no Opus */
    int truncated; /* known at the end: a part of the file, or the mark of its end, is missing */
    /* The link. */
    int has_link;
    int in_heads; /* the last page began a stream: others beside it may follow */
    cara_opus_head head;
    uint32_t serial, number; /* of its last page */
    cara_ogg_timing timing;
    int has_audio;
    int ended;      /* its last page was marked so */
    int never_ends; /* its writer marks no page as the last */
    /* Since the last page of the link. */
    int damage;      /* bytes that are no page */
    int lost;        /* since the last page with a granule position */
    int remains;     /* of that, damaged bytes */
    int64_t missing; /* pages, by their numbers */
    /* A packet that goes on on the next page. */
    int has_carry, carry_used, carry_too_long;
    cara_buf carry;
    /* The page. */
    cara_slice packets[256];
    int64_t samples[256]; /* of each packet */
    int n, next;
    int64_t keep; /* of the packets from `next` on */
    int new_link; /* comes before them */
    int has_gap, gap_at;
    int64_t gap;     /* before packet `gap_at` */
    cara_slice tail; /* of the packet that does not end on the page; empty: there is none */
} cara_opus_stream;

/* Borrows `bytes`; `stop` is asked with every packet and every 16 KiB. It cannot fail. */
void cara_opus_stream_open(cara_opus_stream *stream, cara_slice bytes, int track, cara_stop stop);

/* Fills *event; after END, END again. MEMORY, CANCELLED. */
int cara_opus_stream_next(cara_opus_stream *stream, cara_opus_event *event, cara_error *err);

void cara_opus_stream_close(cara_opus_stream *stream);

#endif
