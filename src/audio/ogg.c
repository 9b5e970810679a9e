/* Ogg/Opus through libopusfile, decoded at 16 kHz.
 *
 * libopusfile always gives 48 kHz, and a decoder that goes up to 48 kHz delays and bends the phase
 * of speech by a fraction of a sample, which ffmpeg's decoder (openai/whisper's) does otherwise:
 * the two differ by up to 0.17 of full scale. libopus can decode at 16 kHz, the rate of the speech
 * layer itself, where both agree to 0.001. So libopusfile does the container (pages, chains,
 * pre-skip, end trim) and hands each packet to us; we give each 16 kHz sample back three times,
 * libopusfile trims in its 48 kHz, and we keep every third.
 *
 * The stream is read as if it could not seek: links come one after another, a damaged tail costs
 * only the tail, and opening reads one page. Rewinding opens it again. */
#include "audio/audio_decoder.h"
#include "audio/rolloff.h"

#include <opus/opusfile.h>
#include <opus_multistream.h>
#include <stdlib.h>
#include <string.h>

#define UP 3             /* 48000 / CARA_SAMPLE_RATE */
#define PACKET_MAX 5760  /* 120 ms at 48 kHz, the longest packet */
#define CHANNELS_USUAL 8 /* more are read in smaller pieces */
#define READ_FLOATS (PACKET_MAX * CHANNELS_USUAL)

typedef struct ogg_decoder {
    cara_audio_decoder base;
    cara_slice bytes;
    size_t at;
    OggOpusFile *file;
    OpusMSDecoder *opus; /* of the link `link` */
    int link, channels;
    float *packet; /* [PACKET_MAX / UP * channels] one packet at 16 kHz */
    int64_t packets_good, packets_bad;
    int no_memory;
    int phase; /* of the next 48 kHz sample in its group of three */
    int ended;
    cara_rolloff rolloff;
    float ready[CARA_ROLLOFF_BLOCK + CARA_ROLLOFF_HALF];
    size_t ready_at, ready_n;
    float wide[READ_FLOATS]; /* what libopusfile gives, 48 kHz interleaved */
} ogg_decoder;

static int bytes_read(void *stream, unsigned char *dst, int n) {
    ogg_decoder *d = stream;
    size_t left = d->bytes.len - d->at, take = n < 0 ? 0 : (size_t)n;
    if (take > left)
        take = left;
    if (take)
        memcpy(dst, d->bytes.ptr + d->at, take);
    d->at += take;
    return (int)take;
}

/* A decoder for the link that starts; channel count and mapping may differ from the last one's. */
static int open_link(ogg_decoder *d, int link, int channels) {
    const OpusHead *head = op_head(d->file, link);
    if (d->opus)
        opus_multistream_decoder_destroy(d->opus);
    free(d->packet);
    d->packet = NULL;
    int status;
    d->opus = opus_multistream_decoder_create(CARA_SAMPLE_RATE, channels, head->stream_count,
                                              head->coupled_count, head->mapping, &status);
    if (d->opus)
        d->packet = malloc((size_t)(PACKET_MAX / UP) * (size_t)channels * sizeof(float));
    if (!d->packet) {
        d->no_memory = 1;
        return OPUS_ALLOC_FAIL;
    }
    opus_multistream_decoder_ctl(d->opus, OPUS_SET_GAIN(head->output_gain));
    d->link = link;
    d->channels = channels;
    return 0;
}

/* libopusfile's decode callback: `samples` 48 kHz samples of `channels` interleaved. */
static int decode_packet(void *ctx, OpusMSDecoder *theirs, void *pcm, const ogg_packet *packet,
                         int samples, int channels, int format, int link) {
    (void)theirs;
    ogg_decoder *d = ctx;
    if (format != OP_DEC_FORMAT_FLOAT)
        return OPUS_INTERNAL_ERROR;
    if ((!d->opus || link != d->link || channels != d->channels) && open_link(d, link, channels))
        return OPUS_ALLOC_FAIL;
    int want = samples / UP;
    int got = opus_multistream_decode_float(d->opus, packet->packet, (opus_int32)packet->bytes,
                                            d->packet, want, 0);
    if (got > 0) {
        d->packets_good++;
    } else { /* conceal it: what follows keeps its time */
        d->packets_bad++;
        got = opus_multistream_decode_float(d->opus, NULL, 0, d->packet, want, 0);
    }
    float *wide = pcm;
    for (int i = 0; i < samples; i++)
        for (int c = 0; c < channels; c++)
            wide[i * channels + c] = i / UP < got ? d->packet[i / UP * channels + c] : 0.0F;
    return 0;
}

static int reopen(ogg_decoder *d, cara_error *err) {
    static const OpusFileCallbacks callbacks = {.read = bytes_read};
    if (d->file)
        op_free(d->file);
    if (d->opus)
        opus_multistream_decoder_destroy(d->opus);
    d->opus = NULL;
    d->at = 0;
    d->phase = 0;
    d->ended = 0;
    d->ready_at = d->ready_n = 0;
    d->packets_good = d->packets_bad = 0;
    cara_rolloff_start(&d->rolloff);
    int status = 0;
    d->file = op_open_callbacks(d, &callbacks, NULL, 0, &status);
    if (!d->file) {
        if (status == OP_EFAULT)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to open the Ogg/Opus stream");
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, (int64_t)d->at,
                         "the Ogg/Opus headers are damaged or cut short (%s); get the file again",
                         status == OP_EVERSION     ? "unknown Opus version"
                         : status == OP_EIMPL      ? "unsupported channel mapping"
                         : status == OP_ENOTFORMAT ? "no Opus stream in the first pages"
                                                   : "no complete header");
    }
    op_set_decode_callback(d->file, decode_packet, d);
    return CARA_OK;
}

/* Walks the page headers: 1 where the last page is cut or no last page of its stream was marked so
 * (RFC 7845 calls such a stream truncated). */
static int cut_short(cara_slice bytes) {
    size_t at = 0;
    int ended = 0;
    while (at + 27 <= bytes.len) {
        const uint8_t *p = bytes.ptr + at;
        if (memcmp(p, "OggS", 4) != 0) {
            const uint8_t *next = memchr(p + 1, 'O', bytes.len - at - 1);
            if (!next)
                return !ended;
            at = (size_t)(next - bytes.ptr);
            continue;
        }
        size_t size = 27 + (size_t)p[26];
        if (at + size > bytes.len)
            return 1;
        for (int i = 0; i < p[26]; i++)
            size += p[27 + i];
        if (size > bytes.len - at)
            return 1;
        ended = (p[5] & 4) != 0;
        at += size;
    }
    return !ended || (bytes.len - at >= 4 && !memcmp(bytes.ptr + at, "OggS", 4));
}

/* Fills `ready` with the next filtered samples; it stays empty only at the end. */
static int refill(ogg_decoder *d, cara_error *err) {
    d->ready_at = d->ready_n = 0;
    if (!d->file) /* a rewind that failed */
        return cara_fail(err, CARA_ERR_INTERNAL, -1, "the Ogg/Opus stream is not open");
    while (!d->ready_n && !d->ended) {
        int link = 0;
        int got = op_read_float(d->file, d->wide, READ_FLOATS, &link);
        if (got == OP_HOLE) /* pages lost: go on with the next */
            continue;
        if (d->no_memory)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to decode the Ogg/Opus stream");
        if (got < 0 && d->packets_good == 0)
            return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, (int64_t)d->at,
                             "the Ogg/Opus stream is damaged (error %d) before its first sound; "
                             "get the file again",
                             got);
        if (got <= 0) { /* the end, or damage that libopusfile cannot pass: keep what there is */
            if (d->packets_good == 0)
                return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, (int64_t)d->at,
                                 "the Ogg/Opus stream holds %s; get the file again",
                                 d->packets_bad ? "only damaged packets" : "headers but no sound");
            d->base.truncated = got < 0 || cut_short(d->bytes);
            d->ended = 1;
            d->ready_n = cara_rolloff_finish(&d->rolloff, d->ready);
            return CARA_OK;
        }
        int channels = op_channel_count(d->file, link);
        if (got > PACKET_MAX) /* never: libopusfile gives a packet at a time */
            return cara_fail(err, CARA_ERR_INTERNAL, -1, "libopusfile gave %d samples", got);
        float mono[CARA_ROLLOFF_BLOCK];
        size_t n = 0;
        for (int i = 0; i < got; i++) {
            if (d->phase == 0) {
                float sum = 0;
                for (int c = 0; c < channels; c++)
                    sum += d->wide[i * channels + c];
                mono[n++] = sum / (float)channels;
            }
            d->phase = (d->phase + 1) % UP;
        }
        d->ready_n = cara_rolloff_push(&d->rolloff, mono, n, d->ready);
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
    return reopen((ogg_decoder *)self, err);
}

static void ogg_close(cara_audio_decoder *self) {
    ogg_decoder *d = (ogg_decoder *)self;
    if (d->file)
        op_free(d->file);
    if (d->opus)
        opus_multistream_decoder_destroy(d->opus);
    free(d->packet);
    free(d);
}

int cara_ogg_open(cara_slice bytes, cara_audio_decoder **out, cara_error *err) {
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
    int rc = reopen(d, err);
    if (!rc)
        rc = refill(d, err); /* a stream without sound fails here, not at the first read */
    if (rc) {
        ogg_close(&d->base);
        return rc;
    }
    *out = &d->base;
    return CARA_OK;
}
