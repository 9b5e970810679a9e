/* Ogg/Opus: pages by libogg, packets by libopus, decoded at 16 kHz.
 *
 * A decoder that goes up to 48 kHz delays and bends the phase of speech by a fraction of a sample,
 * which ffmpeg's decoder (openai/whisper's) does otherwise: the two differ by up to 0.17 of full
 * scale. libopus can decode at 16 kHz, the rate of the speech layer itself, where both agree to
 * 0.001. Ogg counts in samples at 48 kHz all the same: each of ours stands for three of these.
 *
 * The file is read without seeking, page by page. Rewinding opens it again. */
#include "audio/audio_decoder.h"
#include "audio/ogg/rolloff.h"
#include "audio/ogg/stream.h"

#include <opus.h>
#include <opus_multistream.h>
#include <stdlib.h>

#define UP 3                     /* 48000 / CARA_SAMPLE_RATE */
#define STEP (48000 / 400)       /* libopus conceals in steps of 2.5 ms */
#define CONCEAL (48000 / 10)     /* so long libopus goes on with the sound before; then silence */
#define BLOCK CARA_ROLLOFF_BLOCK /* the longest packet at 16 kHz */

/* Decoders that may be opened, one for each stream of a link: that takes longer than decoding. */
#define DECODERS_MAX 10000

/* Positions and lengths are in samples at 48 kHz, unless they say otherwise. */
typedef struct ogg_decoder {
    cara_audio_decoder base;
    cara_slice bytes;
    int track;
    cara_stop stop;
    cara_opus_stream stream;
    cara_opus_head head;       /* of the link */
    OpusMSDecoder *opus;       /* of the link; NULL before its first packet */
    float *interleaved;        /* [BLOCK * head.channels] a packet at 16 kHz */
    int64_t position;          /* of the next decoded sample; before `end` in the pre-skip */
    int64_t end;               /* of the audio so far */
    int64_t gap;               /* what is still to be filled of a gap */
    int64_t conceal;           /* of that, by libopus */
    int64_t gaps, gap_samples; /* of this reading */
    int in_gap;                /* the last packet was concealed */
    int packets_good, packets_bad, links, decoders;
    int ended;
    cara_rolloff rolloff;
    float ready[BLOCK + CARA_ROLLOFF_TAPS];
    size_t ready_at, ready_n;
} ogg_decoder;

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to decode the Ogg/Opus stream");
}

static void close_link(ogg_decoder *d) {
    if (d->opus)
        opus_multistream_decoder_destroy(d->opus);
    free(d->interleaved);
    d->opus = NULL;
    d->interleaved = NULL;
}

/* Its first sample that counts follows what there is. */
static void begin_link(ogg_decoder *d, const cara_opus_head *head) {
    close_link(d);
    d->head = *head;
    d->position = d->end - head->pre_skip;
    d->links++;
}

static int open_opus(ogg_decoder *d, cara_error *err) {
    int status;
    d->decoders += d->head.streams;
    if (d->decoders > DECODERS_MAX)
        return cara_fail(err, CARA_ERR_AUDIO_LIMIT, (int64_t)d->stream.pages.page_end,
                         "the Ogg/Opus file is a chain of more than %d streams; convert it to "
                         "another format",
                         DECODERS_MAX);
    d->opus = opus_multistream_decoder_create(CARA_SAMPLE_RATE, d->head.channels, d->head.streams,
                                              d->head.coupled, d->head.mapping, &status);
    if (d->opus)
        d->interleaved = malloc((size_t)BLOCK * (size_t)d->head.channels * sizeof(float));
    if (!d->interleaved)
        return no_memory(err);
    opus_multistream_decoder_ctl(d->opus, OPUS_SET_GAIN(d->head.gain));
    return CARA_OK;
}

/* Decodes to `interleaved`, n samples at 16 kHz; an empty packet is concealed. How many there are,
 * or a negative number. */
static int decode(ogg_decoder *d, cara_slice packet, int n) {
    return opus_multistream_decode_float(d->opus, packet.len ? packet.ptr : NULL,
                                         (opus_int32)packet.len, d->interleaved, n, 0);
}

/* Puts n decoded samples where they belong: those of the pre-skip and those from `keep` on are
 * dropped. */
static void place(ogg_decoder *d, size_t n, int64_t keep) {
    float mono[BLOCK];
    int channels = d->head.channels;
    int64_t stop = d->position + keep;
    size_t first = 0, last = (size_t)((keep + UP - 1) / UP);
    if (d->position < d->end)
        first = (size_t)((d->end - d->position + UP - 1) / UP);
    if (last > n)
        last = n;
    for (size_t i = first; i < last; i++) {
        const float *all = d->interleaved + i * (size_t)channels;
        float sum = 0;
        for (int c = 0; c < channels; c++)
            sum += d->head.to_mono[c] * all[c];
        mono[i] = sum;
    }
    if (first < last)
        cara_rolloff_add(&d->rolloff, d->position + UP * (int64_t)first, mono + first,
                         last - first);
    d->position = stop;
    if (d->end < stop)
        d->end = stop;
}

/* What could not be decoded; a row of packets is one gap. */
static void count_gap(ogg_decoder *d, int64_t samples) {
    d->gaps += !d->in_gap;
    d->gap_samples += samples;
    d->in_gap = 1;
    if (d->gaps > d->base.gaps.count ||
        (d->gaps == d->base.gaps.count && d->gap_samples > d->base.gaps.seconds * 48000))
        d->base.gaps = (cara_gaps){.count = d->gaps, .seconds = (double)d->gap_samples / 48000};
}

static int take_packet(ogg_decoder *d, const cara_opus_event *event, cara_error *err) {
    if (!d->opus) {
        int rc = open_opus(d, err);
        if (rc)
            return rc;
    }
    int n = (int)event->samples / UP, got = decode(d, event->packet, n);
    if (got == n) {
        d->packets_good++;
        d->in_gap = 0;
    } else {
        d->packets_bad++;
        count_gap(d, event->keep);
        got = decode(d, cara_slice_of(NULL, 0), n);
    }
    if (got < n)
        memset(d->interleaved, 0, (size_t)(n * d->head.channels) * sizeof(float));
    place(d, (size_t)n, event->keep);
    return CARA_OK;
}

/* Fills the next part of a gap. */
static void fill_gap(ogg_decoder *d) {
    int64_t n = d->gap < d->conceal ? d->gap : d->conceal;
    n -= n % STEP;
    if (n > 0 && d->opus && decode(d, cara_slice_of(NULL, 0), (int)n / UP) == (int)n / UP) {
        place(d, (size_t)n / UP, n);
        d->conceal -= n;
    } else {
        n = d->gap < UP * BLOCK ? d->gap : UP * BLOCK;
        d->conceal = 0;
        d->position += n;
        if (d->end < d->position)
            d->end = d->position;
    }
    d->gap -= n;
}

static int is_silent(const ogg_decoder *d, cara_error *err) {
    int64_t at = (int64_t)d->stream.pages.page_end;
    if (d->packets_good)
        return CARA_OK;
    if (d->packets_bad || d->stream.damaged_packets)
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, at,
                         "the Ogg/Opus stream holds only damaged packets; get the file again");
    if (d->links)
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, at,
                         "the Ogg/Opus file holds headers but no whole page of sound: it was cut "
                         "short or damaged; get the file again");
    if (d->stream.refused)
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, at,
                         "the Opus header %s; get the file again, or convert it to another format",
                         d->stream.refused);
    if (d->stream.other_codec)
        return CARA_OGG_OTHER_CODEC;
    if (d->stream.no_track)
        return cara_fail(err, CARA_ERR_AUDIO_FORMAT, -1,
                         "this ogg/opus file has no sound track %d: it has %d, counted from 0",
                         d->track, d->stream.tracks);
    return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, at,
                     "the Ogg/Opus headers are damaged or cut short; get the file again");
}

static int take_event(ogg_decoder *d, cara_error *err) {
    cara_opus_event event;
    int rc = cara_opus_stream_next(&d->stream, &event, err);
    if (rc)
        return rc;
    switch (event.kind) {
    case CARA_OPUS_LINK:
        begin_link(d, event.head);
        return CARA_OK;
    case CARA_OPUS_GAP:
        count_gap(d, event.samples);
        d->gap = event.samples;
        d->conceal = CONCEAL;
        return CARA_OK;
    case CARA_OPUS_PACKET:
        return take_packet(d, &event, err);
    case CARA_OPUS_END:
        break;
    }
    rc = is_silent(d, err);
    d->ended = !rc;
    d->base.truncated = d->stream.truncated;
    return rc;
}

/* Fills `ready` with the next filtered samples; it stays empty only at the end. */
static int refill(ogg_decoder *d, cara_error *err) {
    d->ready_at = d->ready_n = 0;
    while (!d->ready_n && !d->ended) {
        if (d->gap > 0) {
            fill_gap(d);
        } else {
            int rc = take_event(d, err);
            if (rc)
                return rc;
        }
        d->ready_n = d->ended ? cara_rolloff_finish(&d->rolloff, d->end, d->ready)
                              : cara_rolloff_take(&d->rolloff, d->end, d->ready);
    }
    return CARA_OK;
}

static int64_t ogg_read(cara_audio_decoder *self, float *dst, size_t n, cara_error *err) {
    ogg_decoder *d = (ogg_decoder *)self;
    if (d->ready_at == d->ready_n) {
        int rc = refill(d, err);
        if (rc)
            return rc;
    }
    size_t take = d->ready_n - d->ready_at;
    if (take > n)
        take = n;
    if (take)
        memcpy(dst, d->ready + d->ready_at, take * sizeof(float));
    d->ready_at += take;
    return (int64_t)take;
}

static int ogg_rewind(cara_audio_decoder *self, cara_error *err) {
    ogg_decoder *d = (ogg_decoder *)self;
    close_link(d);
    cara_opus_stream_close(&d->stream);
    *d = (ogg_decoder){.base = d->base, .bytes = d->bytes, .track = d->track, .stop = d->stop};
    cara_opus_stream_open(&d->stream, d->bytes, d->track, d->stop);
    cara_rolloff_start(&d->rolloff);
    return CARA_OK;
}

static void ogg_close(cara_audio_decoder *self) {
    ogg_decoder *d = (ogg_decoder *)self;
    close_link(d);
    cara_opus_stream_close(&d->stream);
    free(d);
}

int cara_ogg_open(cara_slice bytes, int track, cara_stop stop, cara_audio_decoder **out,
                  cara_error *err) {
    *out = NULL;
    ogg_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to open the Ogg/Opus stream");
    d->base = (cara_audio_decoder){.read = ogg_read,
                                   .rewind = ogg_rewind,
                                   .close = ogg_close,
                                   .format = "ogg/opus",
                                   .rate = CARA_SAMPLE_RATE};
    d->bytes = bytes;
    d->track = track;
    d->stop = stop;
    cara_opus_stream_open(&d->stream, bytes, track, stop);
    cara_rolloff_start(&d->rolloff);
    int rc = refill(d, err); /* a stream without sound fails here, not at the first read */
    if (rc) {
        ogg_close(&d->base);
        return rc;
    }
    *out = &d->base;
    return CARA_OK;
}
