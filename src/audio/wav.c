/* WAV (RIFF, RF64, BW64): PCM of 8, 16, 24 and 32 bits, float of 32 and 64, A-law and mu-law, any
 * number of channels. Sizes in the header are not trusted: the bytes that are there count. Also
 * such sound without a header. */
#include "audio/audio_decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Writers that stream do not know the size yet and leave 0, -1 or another huge number. */
#define SIZE_UNKNOWN 0x7FFFF000U
/* Float files may overshoot full scale; beyond this it is damage, and must not upset a filter. */
#define FLOAT_MAX_SAMPLE 64.0

enum { CODEC_PCM = 1, CODEC_FLOAT = 3, CODEC_ALAW = 6, CODEC_MULAW = 7, CODEC_EXTENSIBLE = 0xFFFE };

typedef struct wav_decoder {
    cara_audio_decoder base;
    const uint8_t *data; /* [frames * frame] */
    size_t frames, at;
    size_t frame; /* bytes in one frame */
    int channels, sample_bytes, codec;
    int cut;
} wav_decoder;

static uint32_t u16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p) {
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p) {
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

/* ITU-T G.711, to full scale 1. */
static float alaw(uint8_t code) {
    code ^= 0x55;
    int exponent = code >> 4 & 7, mantissa = code & 15;
    int magnitude = exponent ? (mantissa * 2 + 33) << (exponent - 1) : mantissa * 2 + 1;
    return (float)(code & 0x80 ? magnitude : -magnitude) * (8.0F / 32768);
}

static float mulaw(uint8_t code) {
    code = (uint8_t)~code;
    int exponent = code >> 4 & 7, mantissa = code & 15;
    int magnitude = ((mantissa * 2 + 33) << exponent) - 33;
    return (float)(code & 0x80 ? -magnitude : magnitude) * (4.0F / 32768);
}

static float finite(double x) {
    if (!isfinite(x))
        return 0;
    return (float)(x > FLOAT_MAX_SAMPLE    ? FLOAT_MAX_SAMPLE
                   : x < -FLOAT_MAX_SAMPLE ? -FLOAT_MAX_SAMPLE
                                           : x);
}

static float sample(const wav_decoder *d, const uint8_t *p) {
    switch (d->codec) {
    case CODEC_ALAW:
        return alaw(*p);
    case CODEC_MULAW:
        return mulaw(*p);
    case CODEC_FLOAT:
        if (d->sample_bytes == 4) {
            float x;
            uint32_t bits = u32(p);
            memcpy(&x, &bits, sizeof x);
            return finite((double)x);
        } else {
            double x;
            uint64_t bits = u64(p);
            memcpy(&x, &bits, sizeof x);
            return finite(x);
        }
    default:
        break;
    }
    /* PCM: unsigned at 8 bits, else signed; samples of fewer valid bits fill the upper ones. */
    switch (d->sample_bytes) {
    case 1:
        return (float)(*p - 128) * (1.0F / 128);
    case 2:
        return (float)(int16_t)u16(p) * (1.0F / 32768);
    case 3:
        return (float)((int32_t)((u16(p) << 8) | ((uint32_t)p[2] << 24)) >> 8) * (1.0F / 8388608);
    default:
        return (float)((double)(int32_t)u32(p) * (1.0 / 2147483648.0));
    }
}

static int64_t wav_read(cara_audio_decoder *self, float *dst, size_t n, cara_error *err) {
    (void)err;
    wav_decoder *d = (wav_decoder *)self;
    size_t take = d->frames - d->at;
    if (take > n)
        take = n;
    for (size_t i = 0; i < take; i++) {
        const uint8_t *p = d->data + (d->at + i) * d->frame;
        float sum = 0;
        for (int c = 0; c < d->channels; c++, p += d->sample_bytes)
            sum += sample(d, p);
        dst[i] = sum / (float)d->channels;
    }
    d->at += take;
    if (n && !take)
        d->base.truncated = d->cut;
    return (int64_t)take;
}

static int wav_rewind(cara_audio_decoder *self, cara_error *err) {
    (void)err;
    ((wav_decoder *)self)->at = 0;
    return CARA_OK;
}

static void wav_close(cara_audio_decoder *self) {
    free(self);
}

static int printable_id(const uint8_t *p) {
    for (int i = 0; i < 4; i++)
        if (p[i] < 0x20 || p[i] > 0x7E)
            return 0;
    return 1;
}

/* 1 where a chunk that fits starts at `at`. */
static int chunk_at(cara_slice bytes, size_t at) {
    return at <= bytes.len && bytes.len - at >= 8 && printable_id(bytes.ptr + at) &&
           u32(bytes.ptr + at + 4) <= bytes.len - at - 8;
}

/* Chunks start at even offsets; some writers forget the padding. */
static size_t after_chunk(cara_slice bytes, size_t body, size_t size) {
    size_t end = body + size;
    if (size % 2 == 0)
        return end;
    return !chunk_at(bytes, end + 1) && chunk_at(bytes, end) ? end : end + 1;
}

static int read_format(wav_decoder *d, const uint8_t *p, size_t size, cara_error *err) {
    if (size < 14)
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, -1,
                         "the WAV format chunk has %zu bytes, at least 16 were expected", size);
    uint32_t bits = size >= 16 ? u16(p + 14) : 8;
    d->codec = (int)u16(p);
    d->channels = (int)u16(p + 2);
    uint32_t rate = u32(p + 4), align = u16(p + 12);
    if (d->codec == CODEC_EXTENSIBLE && size >= 26)
        d->codec = (int)u16(p + 24); /* the first two bytes of the sub-format's GUID */
    if (d->codec != CODEC_PCM && d->codec != CODEC_FLOAT && d->codec != CODEC_ALAW &&
        d->codec != CODEC_MULAW)
        return CARA_WAV_OTHER_CODEC;
    if (d->channels == 0)
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, -1,
                         "the WAV header says 0 channels; at least 1 was expected");
    if (rate < CARA_AUDIO_RATE_MIN || rate > CARA_AUDIO_RATE_MAX)
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, -1,
                         "the WAV header says %u samples a second; %d to %d are read", rate,
                         CARA_AUDIO_RATE_MIN, CARA_AUDIO_RATE_MAX);
    d->base.rate = (int)rate;
    uint32_t channels = (uint32_t)d->channels;
    uint32_t sample_bytes = align && align % channels == 0 ? align / channels : (bits + 7) / 8;
    int ok = d->codec == CODEC_PCM     ? sample_bytes >= 1 && sample_bytes <= 4
             : d->codec == CODEC_FLOAT ? sample_bytes == 4 || sample_bytes == 8
                                       : sample_bytes == 1;
    if (!ok)
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, -1,
                         "the WAV header says %u bytes a sample; %s", sample_bytes,
                         d->codec == CODEC_PCM     ? "PCM has 1 to 4"
                         : d->codec == CODEC_FLOAT ? "floats have 4 or 8"
                                                   : "A-law and mu-law have 1");
    d->sample_bytes = (int)sample_bytes;
    d->frame = (size_t)sample_bytes * channels;
    return CARA_OK;
}

/* `size` is the data chunk's claim, `wide` the one of an RF64 header (0 where there is none). */
static void set_data(wav_decoder *d, cara_slice bytes, size_t body, uint32_t size, uint64_t wide) {
    size_t left = bytes.len - body;
    uint64_t claim = size == UINT32_MAX && wide ? wide : size;
    int unknown = claim == size && size >= SIZE_UNKNOWN;
    /* 0 is either true, and then the file ends or goes on with a chunk, or not yet filled in. */
    if (size == 0 && left && !chunk_at(bytes, body))
        unknown = 1;
    size_t have = unknown || claim > left ? left : (size_t)claim;
    d->cut = !unknown && claim > left;
    d->data = bytes.ptr + body;
    d->frames = have / d->frame;
}

static int parse(wav_decoder *d, cara_slice bytes, cara_error *err) {
    uint64_t wide = 0;
    size_t at = 12;
    while (at <= bytes.len && bytes.len - at >= 8) {
        const uint8_t *p = bytes.ptr + at;
        uint32_t size = u32(p + 4);
        size_t body = at + 8, left = bytes.len - body;
        if (!memcmp(p, "data", 4)) {
            if (!d->frame)
                return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, (int64_t)at,
                                 "the WAV file has its sound before its format chunk");
            set_data(d, bytes, body, size, wide);
            return CARA_OK;
        }
        if (size > left)
            break;
        if (!memcmp(p, "fmt ", 4)) {
            int rc = read_format(d, p + 8, size, err);
            if (rc)
                return rc;
        } else if (!memcmp(p, "ds64", 4) && size >= 16) {
            wide = u64(p + 16);
        }
        at = after_chunk(bytes, body, size);
    }
    return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, (int64_t)(at < bytes.len ? at : bytes.len),
                     "the WAV file ends before its sound; get the file again");
}

int cara_wav_open(cara_slice bytes, cara_audio_decoder **out, cara_error *err) {
    *out = NULL;
    wav_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to open the WAV file");
    d->base = (cara_audio_decoder){
        .read = wav_read, .rewind = wav_rewind, .close = wav_close, .format = "wav"};
    int rc = parse(d, bytes, err);
    if (rc) {
        free(d);
        return rc;
    }
    *out = &d->base;
    return CARA_OK;
}

int cara_pcm_open(cara_slice bytes, const char *format, cara_pcm_codec codec, int rate,
                  cara_audio_decoder **out, cara_error *err) {
    *out = NULL;
    wav_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to open the %s audio", format);
    d->base = (cara_audio_decoder){
        .read = wav_read, .rewind = wav_rewind, .close = wav_close, .format = format, .rate = rate};
    d->codec = codec == CARA_PCM_ALAW    ? CODEC_ALAW
               : codec == CARA_PCM_MULAW ? CODEC_MULAW
                                         : CODEC_PCM;
    d->sample_bytes = codec == CARA_PCM_S16LE ? 2 : 1;
    d->channels = 1;
    d->frame = (size_t)d->sample_bytes;
    d->data = bytes.ptr;
    d->frames = bytes.len / d->frame;
    *out = &d->base;
    return CARA_OK;
}
