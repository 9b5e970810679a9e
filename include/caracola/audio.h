/* Any bytes to mono 16 kHz float PCM in [-1, 1], pulled in blocks. */
#ifndef CARACOLA_AUDIO_H
#define CARACOLA_AUDIO_H

#include <caracola/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CARA_SAMPLE_RATE 16000 /* whisper/audio.py: SAMPLE_RATE */

/* Where samples come from. `transcribe` reads the audio twice (once for the loudest mel value, once
 * for the windows), so a source can be rewound. */
typedef struct cara_pcm_source {
    /* Fills up to `n` samples; returns how many (0 at the end), or a negative cara_code. */
    int64_t (*read)(void *ctx, float *dst /* [n] */, size_t n, cara_error *err);
    /* Back to the first sample; CARA_OK or a negative code. */
    int (*rewind)(void *ctx, cara_error *err);
    void *ctx;
} cara_pcm_source;

/* Ceilings on what one audio may cost. Zero means the default. */
typedef struct cara_audio_limits {
    size_t max_bytes;   /* of the encoded input; default 2 GiB */
    double max_seconds; /* of decoded audio; default 24 h */
} cara_audio_limits;

typedef struct cara_audio cara_audio;

/* Opens audio held in memory. The format is told from the bytes, never from a name.
 * `bytes` stay the caller's and must outlive the handle. On failure *out is NULL.
 * Errors: AUDIO_FORMAT, AUDIO_CORRUPT, AUDIO_LIMIT, AUDIO_MODULE, MEMORY. */
CARA_API CARA_MUST_USE int cara_audio_open_memory(const void *bytes, size_t n,
                                                  const cara_audio_limits *limits, cara_audio **out,
                                                  cara_error *err);

/* Opens a file (mapped, not copied). Also IO and NOT_FOUND. */
CARA_API CARA_MUST_USE int cara_audio_open_file(const char *path, const cara_audio_limits *limits,
                                                cara_audio **out, cara_error *err);

/* The samples as a source; borrowed from the handle. A stream cut short gives what it holds. */
CARA_API cara_pcm_source cara_audio_source(cara_audio *audio);

/* "ogg/opus", "wav", "mp3", ...; static. */
CARA_API const char *cara_audio_format(const cara_audio *audio);

/* 1 where the stream ended before its container said it would (known after reading to the end). */
CARA_API int cara_audio_truncated(const cara_audio *audio);

/* Frees the handle; NULL is allowed. */
CARA_API void cara_audio_close(cara_audio *audio);

/* A source over samples in memory. `pcm` stays the caller's; so does the cursor, which need only be
 * declared. */
typedef struct cara_pcm_memory {
    const float *pcm; /* [n] */
    size_t n;
    size_t at;
} cara_pcm_memory;
CARA_API cara_pcm_source cara_pcm_memory_source(cara_pcm_memory *cursor);

#ifdef __cplusplus
}
#endif
#endif
