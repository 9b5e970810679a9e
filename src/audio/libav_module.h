/* What the module caracola-libav.so offers to the library that loads it. Only these structs cross;
 * neither side links the other. */
#ifndef AUDIO_LIBAV_MODULE_H
#define AUDIO_LIBAV_MODULE_H

#include <stddef.h>
#include <stdint.h>

#define CARA_LIBAV_MODULE_FILE "caracola-libav.so"
#define CARA_LIBAV_MODULE_SYMBOL "caracola_libav_module"
#define CARA_LIBAV_MODULE_ABI 2 /* goes up with every change of this file */

typedef struct cara_libav_stream cara_libav_stream;

/* All is borrowed for the stream's life. */
typedef struct cara_libav_input {
    const uint8_t *bytes;
    size_t n;
    const char *demuxer; /* libav's name of the container */
    const size_t *hidden;
    /* [n_hidden], rising: offsets of boxes' types that libav is to skip */
    size_t n_hidden;
    int track;         /* of its sound tracks, from 0; -1: the one that ffmpeg takes */
    size_t max_memory; /* that libav may hold at once for this stream */
    /* Polled with every packet and with every read; non-zero ends the work with CANCELLED. May be
     * NULL. */
    int (*should_stop)(void *cookie);
    void *cookie;
} cara_libav_input;

/* Where a function fails it returns a cara_code and writes a sentence's end into `why`. */
typedef struct cara_libav_module {
    uint32_t abi;  /* CARA_LIBAV_MODULE_ABI */
    uint32_t size; /* of this struct */
    int (*open)(const cara_libav_input *input, cara_libav_stream **out, char *why, size_t why_size);
    /* Mono 16 kHz samples: up to n, 0 at the end, or a cara_code. */
    int64_t (*read)(cara_libav_stream *stream, float *dst, size_t n, char *why, size_t why_size);
    /* 1 where the stream ended before its container said; known once read returned 0. */
    int (*truncated)(const cara_libav_stream *stream);
    void (*close)(cara_libav_stream *stream);
} cara_libav_module;

#endif
