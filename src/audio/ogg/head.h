/* OpusHead, the first packet of an Opus stream (RFC 7845, section 5.1). */
#ifndef AUDIO_OGG_HEAD_H
#define AUDIO_OGG_HEAD_H

#include "audio/audio_decoder.h"
#include "base/slice.h"

typedef struct cara_opus_head {
    int channels; /* that libopus is to decode, from 1 to CARA_AUDIO_CHANNELS_MAX */
    int streams, coupled;
    unsigned char mapping[CARA_AUDIO_CHANNELS_MAX]; /* [channels] */
    float
        to_mono[CARA_AUDIO_CHANNELS_MAX]; /* [channels] the part of each in the one that we give */
    int pre_skip;                         /* samples at 48 kHz before the first that counts */
    int gain;                             /* dB * 256 */
} cara_opus_head;

/* The codec of the stream that begins with `packet`: "ogg/opus", "ogg/vorbis", "ogg/flac" or
 * "ogg/speex"; static. NULL: no sound, or none that is known. */
const char *cara_ogg_codec(cara_slice packet);

int cara_opus_is_head(cara_slice packet);

/* NULL, or why the head cannot be used: the rest of "the Opus header ..."; static. */
const char *cara_opus_head_read(cara_slice packet, cara_opus_head *head);

#endif
