/* What the index of an MP4 or MOV file claims, looked at before libav builds its tables from it. */
#ifndef AUDIO_MP4_H
#define AUDIO_MP4_H

#include "audio/audio_decoder.h"

#define CARA_MP4_TRACKS 256       /* of any kind */
#define CARA_MP4_SAMPLES 10000000 /* of all sound tracks: 24 hours at 100 a second and more */
#define CARA_MP4_FRAGMENTS 100000 /* that indexes of fragments list */
/* For each edit libav goes through the samples, or through their time offsets. */
#define CARA_MP4_EDIT_STEPS 50000000

typedef struct cara_mp4 {
    /* Where the types of boxes stand that hold no sound, rising: video tracks have indexes, too,
     * that libav would keep. */
    size_t hidden[CARA_MP4_TRACKS];
    size_t n_hidden;
} cara_mp4;

/* Fills *mp4. What libav tolerates is tolerated. Some claims cost more memory or time than the
 * file's bytes can be worth, and libav cannot be stopped in the loops over its tables:
 *   CARA_ERR_AUDIO_CORRUPT  tables beyond the end of the file, or where none belong; the same
 *                           bytes used many times
 *   CARA_ERR_AUDIO_FORMAT   a compressed index, whose claims cannot be seen
 *   CARA_ERR_AUDIO_LIMIT    more than the numbers above
 *   CARA_ERR_CANCELLED      `stop` said so */
int cara_mp4_check(cara_slice bytes, cara_stop stop, cara_mp4 *mp4, cara_error *err);

#endif
