/* What each format's decoder looks like to audio.c: mono samples at some rate, pulled in blocks. */
#ifndef AUDIO_DECODER_H
#define AUDIO_DECODER_H

#include "base/error.h"
#include "base/files/stream.h"
#include "base/slice.h"

#include <caracola/audio.h>

/* Rates and channels of real sound; what is beyond is damage, or made to cost memory and time. */
#define CARA_AUDIO_RATE_MIN 1000
#define CARA_AUDIO_RATE_MAX 384000
#define CARA_AUDIO_CHANNELS_MAX 64

typedef struct cara_audio_decoder cara_audio_decoder;
struct cara_audio_decoder {
    /* Up to `n` mono samples; how many (0 at the end), or a negative code. Finite values only. */
    int64_t (*read)(cara_audio_decoder *self, float *dst /* [n] */, size_t n, cara_error *err);
    /* Back to the first sample: the same samples come again. */
    int (*rewind)(cara_audio_decoder *self, cara_error *err);
    /* Frees self. */
    void (*close)(cara_audio_decoder *self);
    const char *format; /* static */
    int rate;           /* Hz */
    int truncated;      /* known once read returned 0 */
    cara_gaps gaps;     /* the same; rewinding keeps it */
};

/* Each borrows `bytes` for the decoder's life and gives a decoder that close() frees; on failure
 * *out is NULL. AUDIO_CORRUPT, AUDIO_FORMAT, MEMORY. */

/* `track` counts sound streams side by side, from 0; -1: the Opus stream with the most channels.
 * `stop` is asked with every packet and every 16 KiB; also CANCELLED, AUDIO_LIMIT. Returns
 * CARA_OGG_OTHER_CODEC, with *err untouched, where the track is no Opus. */
#define CARA_OGG_OTHER_CODEC 1
int cara_ogg_open(cara_slice bytes, int track, cara_stop stop, cara_audio_decoder **out,
                  cara_error *err);

/* Returns CARA_WAV_OTHER_CODEC, with *err untouched, where the WAV holds a codec that is not PCM,
 * float, A-law or mu-law. */
#define CARA_WAV_OTHER_CODEC 1
int cara_wav_open(cara_slice bytes, cara_audio_decoder **out, cara_error *err);

/* Bytes without a header: one channel of `codec` at `rate`. */
typedef enum cara_pcm_codec { CARA_PCM_S16LE, CARA_PCM_ALAW, CARA_PCM_MULAW } cara_pcm_codec;
int cara_pcm_open(cara_slice bytes, const char *format, cara_pcm_codec codec, int rate,
                  cara_audio_decoder **out, cara_error *err);

/* What libav gets to read. */
typedef struct cara_libav_file {
    cara_slice bytes;
    const char *format;  /* names it to users ("mp3"); static */
    const char *demuxer; /* libav's name of the container; static */
    int track;           /* of its sound tracks, from 0; -1: the one that ffmpeg takes */
    cara_stop stop;      /* asked with every packet and with every read */
} cara_libav_file;

/* Loads the libav module on first need. Also AUDIO_MODULE, AUDIO_LIMIT, CANCELLED. */
int cara_libav_open(const cara_libav_file *file, cara_audio_decoder **out, cara_error *err);

/* A decoder that gives `inner` at CARA_SAMPLE_RATE: ceil(n * 16000 / rate) samples, the first at
 * the time of inner's first. Owns `inner` on success only. */
int cara_resample_wrap(cara_audio_decoder *inner, cara_audio_decoder **out, cara_error *err);

#endif
