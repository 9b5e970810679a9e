/* log_mel_spectrogram() of whisper/audio.py, streamed.
 *
 * The reference clamps every value to the loudest of the whole audio minus 8, so the loudest must
 * be known before the first window: one pass over the source finds it, a second makes the frames.
 * The audio counts as followed by 30 s of silence, as transcribe() pads it. */
#ifndef WHISPER_MEL_H
#define WHISPER_MEL_H

#include "base/error.h"
#include "base/threads.h"

#include <caracola/audio.h>

#define CARA_N_FFT 400
#define CARA_HOP_LENGTH 160
#define CARA_N_FRAMES 3000 /* of a 30 s window */
#define CARA_FRAMES_PER_SECOND 100

/* Tables for n_mels 80 or 128: periodic Hann window, slaney mel filters (librosa's, computed). */
typedef struct cara_mel_tables cara_mel_tables;
int cara_mel_tables_new(int n_mels, cara_mel_tables **out, cara_error *err);
void cara_mel_tables_free(cara_mel_tables *tables);

typedef struct cara_mel_stream cara_mel_stream;

/* First pass: reads the source to its end. `tables`, `pool` (may be NULL) and `source` are borrowed
 * and outlive the stream. The stream then holds at most a few windows of frames. */
int cara_mel_stream_open(const cara_mel_tables *tables, cara_pcm_source source, cara_pool *pool,
                         cara_mel_stream **out, cara_error *err);

/* Samples in the source; content frames are samples / 160, rounded down. */
int64_t cara_mel_stream_samples(const cara_mel_stream *stream);
int64_t cara_mel_stream_content_frames(const cara_mel_stream *stream);

/* Frames [seek, seek + n_frames) to dst, then zeros up to CARA_N_FRAMES (pad_or_trim()).
 * Going forward is cheap; going back rewinds the source. */
int cara_mel_stream_window(cara_mel_stream *stream, int64_t seek, int64_t n_frames,
                           float *dst /* [n_mels, CARA_N_FRAMES] */, cara_error *err);

void cara_mel_stream_close(cara_mel_stream *stream);

#endif
