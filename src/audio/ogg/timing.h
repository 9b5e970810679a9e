/* What the granule positions of an Ogg/Opus stream say: how long a gap is, and how much of the last
 * page counts. All times are samples at 48 kHz. */
#ifndef AUDIO_OGG_TIMING_H
#define AUDIO_OGG_TIMING_H

#include <stdint.h>

/* Of one link; all 0 at its beginning. */
typedef struct cara_ogg_timing {
    int64_t granule; /* of the page before */
    int has_granule;
    int64_t packet; /* samples of its first packet */
    int agreed;     /* how the granules count: 1 as the packets do, -1 not so, 0 not known yet */
} cara_ogg_timing;

/* A page with the end of at least one packet. */
typedef struct cara_ogg_page_facts {
    int64_t granule; /* -1: it has none */
    int64_t samples; /* of the packets that end on it */
    int64_t packet;  /* of the first of these; 0: none can be read */
    int last;        /* marked as the last page of the stream */
    int lost;        /* something before it was lost */
    int remains;     /* and damaged bytes are in its place */
    int64_t missing; /* pages before it, by their numbers; 0: not known */
    int unnumbered;  /* it has the number of the page before */
    int damaged;     /* packets of it cannot be read */
} cara_ogg_page_facts;

typedef struct cara_ogg_page_times {
    int is_gap;
    int64_t gap;  /* the length of what is missing before the page, or in it */
    int64_t keep; /* of `samples`: fewer at the end of a stream */
} cara_ogg_page_times;

cara_ogg_page_times cara_ogg_timing_page(cara_ogg_timing *timing, const cara_ogg_page_facts *page);

#endif
