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

/* What was missing in the audio: lost pages and damaged packets. Gaps keep their length, with what
 * the decoder makes up from the sound before, and silence. */
typedef struct cara_gaps {
    int64_t count;
    double seconds;     /* of all together; 0 also where the length could not be known */
    double reserved[2]; /* 0: room for members to come, since it is part of a result */
} cara_gaps;

/* Where samples come from. `transcribe` reads the audio twice (once for the loudest mel value, once
 * for the windows), so a source can be rewound. A program that makes its own sets all members that
 * it does not use to NULL, as initialisers do. */
typedef struct cara_pcm_source {
    /* Fills up to `n` samples; returns how many (0 at the end), or a negative cara_code, with *err
     * filled if there is a sentence to give. */
    int64_t (*read)(void *ctx, float *dst /* [n] */, size_t n, cara_error *err);
    /* Back to the first sample; CARA_OK or a negative code. */
    int (*rewind)(void *ctx, cara_error *err);
    void *ctx;
    /* What was missing in the samples that were read, counted once however often they are read;
     * NULL: nothing. */
    cara_gaps (*gaps)(void *ctx);
    void *reserved[3]; /* NULL: room for members to come, since a source is passed by value */
} cara_pcm_source;

/* How one audio is read. cara_audio_options_default() must fill it first. */
typedef struct cara_audio_options {
    size_t struct_size; /* set by cara_audio_options_default() */
    size_t max_bytes;   /* of the encoded input; 0: 2 GiB */
    double max_seconds; /* of decoded audio; 0: 24 h */
    /* Of several sound tracks the one to read: 1 for the first, which is ffmpeg's 0:a:0. 0, the
     * default: the one that ffmpeg takes. */
    int track;
    /* What sound without a header is, by the ending of its file or the subtype of its media type:
     * "gsm", "ulaw", "alaw", "sln" (8 kHz), "sln16" (16 kHz; also 12, 24, 32, 44, 48, 96 and 192),
     * "g722", and other names of these. Bytes that tell their format by themselves are read as what
     * they are, and other names change nothing, so any ending can be given as it is. Borrowed.
     * NULL, the default: cara_audio_open_file() takes the ending of the path. */
    const char *input_format;
    /* Asked while audio is opened and read, and some ten times a second while the bytes of a pipe
     * or device are waited for; non-zero ends the work with CARA_ERR_CANCELLED. Kept for as long as
     * the handle is open. NULL: nothing is asked. */
    int (*stop)(void *cookie);
    void *stop_cookie;
} cara_audio_options;

/* 1 where `name` is one of the names that options.input_format knows, in any case. */
CARA_API int cara_audio_is_input_format(const char *name);

/* Fills the caller's struct of `size` bytes (sizeof *options). It cannot fail. */
CARA_API void cara_audio_options_default(cara_audio_options *options, size_t size);

typedef struct cara_audio cara_audio;

/* Opens audio held in memory. The format is recognised by the bytes; a name counts only where
 * these tell nothing (input_format). `options` may be NULL: the defaults. `bytes` stay the caller's
 * and must outlive the handle. On success *out is the caller's, to be freed with
 * cara_audio_close(). On failure *out is NULL. Returns CARA_OK or
 *   CARA_ERR_AUDIO_FORMAT   the bytes are no audio that is known, or its codec is not decoded here,
 *                           or there is no such track
 *   CARA_ERR_AUDIO_CORRUPT  audio of a known format that cannot be decoded
 *   CARA_ERR_AUDIO_LIMIT    more bytes than max_bytes, or it would cost too much memory or time
 *   CARA_ERR_AUDIO_MODULE   the format needs the libav module, which is not installed
 *   CARA_ERR_CANCELLED      options.stop ended it
 *   CARA_ERR_USAGE          struct_size was not set, or is that of a newer header than this library
 *   CARA_ERR_MEMORY         no memory
 *   CARA_ERR_INTERNAL       a defect of ours */
CARA_API CARA_MUST_USE int cara_audio_open_memory(const void *bytes, size_t n,
                                                  const cara_audio_options *options,
                                                  cara_audio **out, cara_error *err);

/* Opens a file, mapped and not copied; it must stay as it is while the handle is open. What is no
 * regular file (a named pipe, /dev/stdin, a device) is read to its end into memory, as
 * cara_audio_open_fd() does. As cara_audio_open_memory(), and also
 *   CARA_ERR_NOT_FOUND      no such file
 *   CARA_ERR_IO             the system refused to read it, or it is a folder */
CARA_API CARA_MUST_USE int cara_audio_open_file(const char *path, const cara_audio_options *options,
                                                cara_audio **out, cara_error *err);

/* Reads a descriptor (standard input, a pipe, a socket) from where it stands to its end, into
 * memory of the handle's own. It stays open and the caller's. Reading ends early where the first
 * MiB is no audio. `name` is what error texts call it. As cara_audio_open_memory(), and also
 *   CARA_ERR_IO             the system refused to read it */
CARA_API CARA_MUST_USE int cara_audio_open_fd(int fd, const char *name,
                                              const cara_audio_options *options, cara_audio **out,
                                              cara_error *err);

/* The samples as a source; borrowed from the handle. A stream cut short gives what it holds. The
 * source of NULL can be read too, and fails. Its `read` and `rewind` fail with
 *   CARA_ERR_USAGE          `audio` was NULL
 *   CARA_ERR_AUDIO_CORRUPT  the stream cannot be decoded further
 *   CARA_ERR_AUDIO_FORMAT   a codec that this libav does not have
 *   CARA_ERR_AUDIO_LIMIT    longer than max_seconds, and the samples up to there were given; or it
 *                           would cost too much memory or time
 *   CARA_ERR_CANCELLED      options.stop ended it
 *   CARA_ERR_MEMORY         no memory
 *   CARA_ERR_INTERNAL       a defect of ours */
CARA_API cara_pcm_source cara_audio_source(cara_audio *audio);

/* "ogg/opus", "wav", "mp3", ...; "" where `audio` is NULL; static. */
CARA_API const char *cara_audio_format(const cara_audio *audio);

/* 1 where the stream ended before its container said it would (known after reading to the end);
 * 0 where `audio` is NULL. */
CARA_API int cara_audio_truncated(const cara_audio *audio);

/* What was missing in the Ogg/Opus audio (known after reading to the end; reading again changes
 * nothing); none where `audio` is NULL. Other formats have no gaps that can be known. */
CARA_API cara_gaps cara_audio_gaps(const cara_audio *audio);

/* Frees the handle; NULL is allowed. */
CARA_API void cara_audio_close(cara_audio *audio);

/* A source over samples in memory. `pcm` stays the caller's; so does the cursor, which need only be
 * declared. The function cannot fail; a source of NULL fails when it is read. */
typedef struct cara_pcm_memory {
    const float *pcm; /* [n] */
    size_t n;
    size_t at;          /* samples read; begin with 0 */
    size_t reserved[2]; /* 0: room for members to come */
} cara_pcm_memory;
CARA_API cara_pcm_source cara_pcm_memory_source(cara_pcm_memory *cursor);

#ifdef __cplusplus
}
#endif
#endif
