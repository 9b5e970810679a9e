/* Sound without a header, as telephone systems keep voicemail: only its name says what it is. */
#ifndef AUDIO_HEADERLESS_H
#define AUDIO_HEADERLESS_H

#include "audio/audio_decoder.h"

typedef struct cara_headerless {
    const char *name;    /* "ulaw" */
    const char *demuxer; /* libav's, or NULL where it is PCM: */
    cara_pcm_codec codec;
    int rate;
} cara_headerless;

/* The format called `name` in any case ("ulaw", "UL"), or NULL. */
const cara_headerless *cara_headerless_find(const char *name);

#endif
