/* Which format some bytes are, by the bytes alone. */
#ifndef AUDIO_SNIFF_H
#define AUDIO_SNIFF_H

#include "base/slice.h"

typedef enum cara_sniff_kind {
    CARA_SNIFF_NONE, /* no audio that we know */
    CARA_SNIFF_OGG_OPUS,
    CARA_SNIFF_WAV,
    CARA_SNIFF_LIBAV /* everything that the libav module reads */
} cara_sniff_kind;

typedef struct cara_sniffed {
    cara_sniff_kind kind;
    const char *format;  /* "ogg/opus", "wav", "mp3", ...; NULL for NONE */
    const char *demuxer; /* libav's name for the container; NULL unless LIBAV */
    int mixed;           /* of OGG_OPUS: another codec is beside it */
    int certain;         /* sound without a header does not begin like this, not even by chance */
    size_t skip;         /* bytes before it: a tag in front of a format that knows no such tags */
    const char
        *looks;  /* for NONE: the rest of "the input ...": "is empty", "looks like JSON text" */
    int unknown; /* for NONE: nothing is known of the bytes; sound without a header may be so */
} cara_sniffed;

/* All strings are static. */
cara_sniffed cara_sniff(cara_slice bytes);

#endif
