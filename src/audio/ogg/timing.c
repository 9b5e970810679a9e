#include "audio/ogg/timing.h"

#define RATE 48000
#define GRANULE_MAX ((int64_t)1 << 60) /* sums and differences of two stay in range */
/* A stream that begins later, and has no damage before, was recorded from its middle on. */
#define JOINED (10 * RATE)
#define MISSING_MAX 1000 /* pages whose length is guessed */

static int64_t round_up(int64_t n, int64_t step) {
    return step > 0 ? (n + step - 1) / step * step : n;
}

/* The granule position that the page before had, or would have had. */
static int64_t granule_before(const cara_ogg_timing *timing, const cara_ogg_page_facts *page) {
    if (timing->has_granule)
        return timing->granule;
    int64_t start = page->granule - page->samples;
    /* The only page may be trimmed, so its start does not follow from its end. */
    if (page->last && start < 0)
        return 0;
    int joined = start > JOINED && !page->remains;
    return (page->lost || page->damaged) && start > 0 && !joined ? 0 : start;
}

/* How much is missing by the granules: less than nothing where they count fewer samples than there
 * are. */
static int64_t missing_samples(const cara_ogg_timing *timing, const cara_ogg_page_facts *page,
                               int64_t before) {
    int may_miss = page->lost || page->damaged || (page->unnumbered && timing->agreed > 0);
    if (!may_miss)
        return 0;
    if (timing->agreed < 0) /* these granules tell nothing */
        return page->missing > 0 && page->missing <= MISSING_MAX ? page->missing * page->samples
                                                                 : 0;
    int64_t missing = page->granule - before - page->samples;
    /* Packets are missing as wholes, and the rest of the last one is not to be played. The very
     * last packet may be shorter than the others. Without a packet behind the gap, the end of the
     * page is its end. */
    if (!page->last || !page->samples || missing <= 0)
        return missing;
    return round_up(missing, timing->packet ? timing->packet : page->packet);
}

cara_ogg_page_times cara_ogg_timing_page(cara_ogg_timing *timing, const cara_ogg_page_facts *page) {
    cara_ogg_page_times times = {.keep = page->samples};
    if (page->granule == -1 || page->granule > GRANULE_MAX || page->granule < -GRANULE_MAX) {
        times.is_gap = page->missing > 0;
        timing->granule += page->samples; /* not used where there was none before */
        return times;
    }
    int64_t before = granule_before(timing, page);
    int64_t missing = missing_samples(timing, page, before);
    if (missing > 0) {
        times.is_gap = 1;
        times.gap = missing;
        before += missing;
    } else if (timing->has_granule && !page->last && !page->lost && !page->damaged) {
        timing->agreed = page->granule - before == page->samples ? 1 : -1;
    }
    if (page->last && page->granule - before < page->samples)
        times.keep = page->granule > before ? page->granule - before : 0;
    timing->granule = page->granule;
    timing->packet = page->packet;
    timing->has_granule = 1;
    return times;
}
