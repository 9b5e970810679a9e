#include "audio/ogg/stream.h"

#include "base/limits.h"

#include <opus.h>

#define PACKET_SAMPLES 5760 /* 120 ms, the longest */

/* Concealed at most, so that a number in a small file cannot become hours of silence: as much as
 * there was sound before, and one minute more. */
#define CONCEAL_MORE ((int64_t)60 * 48000)

/* A packet over several pages. Audio never comes near it; of a picture in the tags only the
 * beginning is looked at. */
#define CARRY_MAX CARA_MIB

static int starts_with(cara_slice s, const char *text) {
    size_t n = strlen(text);
    return s.len >= n && memcmp(s.ptr, text, n) == 0;
}

void cara_opus_stream_open(cara_opus_stream *stream, cara_slice bytes, int track, cara_stop stop) {
    *stream = (cara_opus_stream){.track = track};
    cara_ogg_pages_open(&stream->pages, bytes, stop);
    cara_buf_init(&stream->carry, CARRY_MAX);
}

void cara_opus_stream_close(cara_opus_stream *stream) {
    cara_ogg_pages_close(&stream->pages);
    cara_buf_free(&stream->carry);
}

/* Each piece of a packet over several pages; MEMORY. */
static int carry(cara_opus_stream *s, cara_slice piece, cara_error *err) {
    if (piece.len > CARRY_MAX - s->carry.len) {
        s->carry_too_long = 1;
        piece.len = CARRY_MAX - s->carry.len;
    }
    if (cara_buf_add(&s->carry, piece.ptr, piece.len))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read the Ogg/Opus file");
    return CARA_OK;
}

/* The whole packet: an empty one where it was too long to be audio. */
static cara_slice carried(const cara_opus_stream *s) {
    cara_slice whole = cara_slice_of(s->carry.data, s->carry.len);
    return s->carry_too_long && !starts_with(whole, "OpusTags") ? cara_slice_of(whole.ptr, 0)
                                                                : whole;
}

static void drop_carry(cara_opus_stream *s) {
    cara_buf_clear(&s->carry);
    s->has_carry = s->carry_too_long = 0;
}

/* Cuts a page into the packets that end on it, and the tail of one that does not. `broken`: pages
 * before this one are missing. */
static int split(cara_opus_stream *s, const ogg_page *page, int broken, cara_error *err) {
    const unsigned char *sizes = page->header + 27;
    int n_sizes = page->header[26], continued = ogg_page_continued(page), complete = 0;
    cara_slice piece = cara_slice_of(page->body, 0);
    if (s->has_carry && (!continued || broken)) {
        drop_carry(s);
        s->lost = 1;
    }
    for (int i = 0; i < n_sizes; i++) {
        piece.len += sizes[i];
        if (sizes[i] == 255)
            continue;
        if (complete++ || !continued) {
            s->packets[s->n++] = piece;
        } else if (s->has_carry) {
            int rc = carry(s, piece, err);
            if (rc)
                return rc;
            s->packets[s->n++] = carried(s);
            s->carry_used = 1;
        } else {
            s->lost = 1; /* its beginning is */
        }
        piece = cara_slice_of(piece.ptr + piece.len, 0);
    }
    s->tail = piece;
    if (piece.len && !complete && continued && !s->has_carry) { /* its beginning is lost */
        s->tail.len = 0;
        s->lost = 1;
    }
    return CARA_OK;
}

/* Keeps the tail of the page that is done with. */
static int end_page(cara_opus_stream *s, cara_error *err) {
    if (s->carry_used)
        drop_carry(s);
    int rc = CARA_OK;
    if (s->tail.len) {
        s->has_carry = 1;
        rc = carry(s, s->tail, err);
    }
    s->n = s->next = s->carry_used = 0;
    s->tail.len = 0;
    return rc;
}

/* The first packet, as far as it is on the page. */
static cara_slice first_packet(const ogg_page *page) {
    const unsigned char *sizes = page->header + 27;
    size_t len = 0;
    for (int i = 0; i < page->header[26]; i++) {
        len += sizes[i];
        if (sizes[i] < 255)
            break;
    }
    return cara_slice_of(page->body, len);
}

/* A page that begins a sound stream. */
static void count_track(cara_opus_stream *s, const ogg_page *page, int beside) {
    uint32_t serial = (uint32_t)ogg_page_serialno(page);
    if (!beside)
        s->tracks = 0;
    if (!s->tracks || serial != s->last_track)
        s->tracks++;
    s->last_track = serial;
    if (!s->has_link && s->tracks - 1 == s->track)
        s->other_codec = !cara_opus_is_head(first_packet(page));
}

/* A page with OpusHead: a link begins, unless it is beside one that is preferred. */
static int begin_link(cara_opus_stream *s, const ogg_page *page, int beside) {
    cara_opus_head head;
    const char *refused = cara_opus_head_read(first_packet(page), &head);
    if (refused) {
        s->refused = refused;
        return 0;
    }
    if (s->track >= 0 ? s->tracks - 1 != s->track
                      : beside && s->has_link && head.channels <= s->head.channels)
        return 0;
    s->head = head;
    s->has_link = s->new_link = 1;
    s->serial = (uint32_t)ogg_page_serialno(page);
    s->number = (uint32_t)ogg_page_pageno(page) - 1;
    s->timing = (cara_ogg_timing){0};
    s->has_audio = s->ended = 0;
    s->never_ends = s->serial == 0; /* WhatsApp's */
    s->damage = s->lost = s->remains = 0;
    s->missing = 0;
    drop_carry(s);
    return 1;
}

/* Compares the number of the link's next page with that of the last one; returns the difference. A
 * writer that does not count gives 0 each time. */
static uint32_t check_number(cara_opus_stream *s, const ogg_page *page) {
    uint32_t number = (uint32_t)ogg_page_pageno(page), step = number - s->number;
    if (step > 1 || (step == 0 && s->damage))
        s->lost = 1;
    s->remains |= s->lost && s->damage;
    if (step > 1 && step < UINT32_MAX / 2)
        s->missing += step - 1;
    s->number = number;
    s->damage = 0;
    return step;
}

/* Removes the headers from the packets before the first sound. */
static void take_headers(cara_opus_stream *s) {
    int kept = 0;
    for (int i = 0; i < s->n; i++) {
        cara_slice packet = s->packets[i];
        int is_tags = starts_with(packet, "OpusTags");
        if (!s->has_audio && (is_tags || cara_opus_is_head(packet))) {
            if (is_tags && packet.len >= 20 && !memcmp(packet.ptr + 12, "WhatsApp", 8))
                s->never_ends = 1;
            continue;
        }
        s->has_audio = 1;
        s->packets[kept++] = packet;
    }
    s->n = kept;
}

/* Measures the page's packets, and finds what is missing before or in it. */
static void time_page(cara_opus_stream *s, const ogg_page *page, int unnumbered) {
    cara_ogg_page_facts facts = {.granule = ogg_page_granulepos(page),
                                 .last = ogg_page_eos(page) != 0,
                                 .lost = s->lost,
                                 .remains = s->remains,
                                 .missing = s->missing,
                                 .unnumbered = unnumbered};
    int kept = 0, first_bad = 0;
    for (int i = 0; i < s->n; i++) {
        cara_slice packet = s->packets[i];
        int samples =
            packet.len ? opus_packet_get_nb_samples(packet.ptr, (opus_int32)packet.len, 48000) : 0;
        if (samples <= 0 || samples > PACKET_SAMPLES) {
            if (!facts.damaged)
                first_bad = kept;
            facts.damaged = 1;
            s->damaged_packets = 1;
            continue;
        }
        s->packets[kept] = packet;
        s->samples[kept++] = samples;
        facts.samples += samples;
        if (!facts.packet)
            facts.packet = samples;
    }
    s->n = kept;
    cara_ogg_page_times times = cara_ogg_timing_page(&s->timing, &facts);
    int64_t most = CONCEAL_MORE + s->sound - s->concealed;
    s->has_gap = times.is_gap;
    s->gap = times.gap < most ? times.gap : most;
    s->gap_at = facts.lost ? 0 : first_bad;
    s->keep = times.keep;
    s->lost = s->remains = 0;
    s->missing = 0;
}

/* Takes a page: ours, the beginning of a link, or neither. */
static int take_page(cara_opus_stream *s, const ogg_page *page, cara_error *err) {
    int ours = s->has_link && (uint32_t)ogg_page_serialno(page) == s->serial;
    int is_head = cara_opus_is_head(first_packet(page));
    int begins = ogg_page_bos(page) && !(ours && s->has_audio && !is_head);
    int beside = begins && s->in_heads;
    s->damage |= s->pages.damage;
    s->in_heads = begins;
    if ((begins || !ours) && cara_ogg_codec(first_packet(page)))
        count_track(s, page, beside);
    if (is_head && (begins || !ours))
        ours = begin_link(s, page, beside);
    s->no_track = s->track >= 0 && !s->has_link && s->tracks && !begins;
    if (!ours || ogg_page_version(page) != 0)
        return CARA_OK;
    int damage = s->damage;
    uint32_t step = check_number(s, page);
    int rc = split(s, page, step > 1 || (step == 0 && damage), err);
    if (rc)
        return rc;
    take_headers(s);
    s->ended = ogg_page_eos(page) != 0;
    if (s->n)
        time_page(s, page, step == 0);
    return CARA_OK;
}

int cara_opus_stream_next(cara_opus_stream *s, cara_opus_event *event, cara_error *err) {
    for (;;) {
        int rc = cara_ogg_pages_ask(&s->pages, err);
        if (rc)
            return rc;
        *event = (cara_opus_event){.head = &s->head};
        if (s->new_link) {
            s->new_link = 0;
            event->kind = CARA_OPUS_LINK;
            return CARA_OK;
        }
        if (s->has_gap && s->next == s->gap_at) {
            s->has_gap = 0;
            s->concealed += s->gap;
            event->kind = CARA_OPUS_GAP;
            event->samples = s->gap;
            return CARA_OK;
        }
        if (s->next < s->n) {
            event->kind = CARA_OPUS_PACKET;
            event->packet = s->packets[s->next];
            event->samples = s->samples[s->next++];
            event->keep = event->samples < s->keep ? event->samples : s->keep;
            s->keep -= event->keep;
            s->sound += event->keep;
            return CARA_OK;
        }
        rc = end_page(s, err);
        if (rc)
            return rc;
        ogg_page page;
        int found = s->no_track ? 0 : cara_ogg_pages_next(&s->pages, &page, err);
        if (found < 0)
            return found;
        if (!found)
            break;
        rc = take_page(s, &page, err);
        if (rc)
            return rc;
    }
    s->truncated = s->pages.cut || s->has_carry || !(s->ended || s->never_ends);
    return CARA_OK;
}
