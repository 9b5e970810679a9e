/* Which sound track of an opened container is decoded, and whether it can be. */
#ifndef AUDIO_LIBAV_TRACK_H
#define AUDIO_LIBAV_TRACK_H

#include <libavformat/avformat.h>
#include <stddef.h>

/* Decoders that may run, by libav's names for them; video is never decoded. */
extern const char cara_libav_codecs[];

/* The stream's index in *index and its decoder in *codec. `track` counts sound tracks from 0; -1
 * takes the one that the ffmpeg command takes. CARA_OK, or a cara_code with a sentence's end in
 * `why`. */
int cara_libav_track(const AVFormatContext *format, int track, int *index, const AVCodec **codec,
                     char *why, size_t why_size);

/* AUDIO_CORRUPT where there is no such sound; 0 stands for a number that is not known yet. */
int cara_libav_check_sound(int rate, int channels, char *why, size_t why_size);

#endif
