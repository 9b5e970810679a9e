/* Speech to text: a session over a model, with openai/whisper's options. */
#ifndef CARACOLA_TRANSCRIBE_H
#define CARACOLA_TRANSCRIBE_H

#include <caracola/audio.h>
#include <caracola/error.h>
#include <caracola/model.h>
#include <caracola/result.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cara_session cara_session; /* used by one thread at a time; reused between audios */

typedef enum cara_task { CARA_TRANSCRIBE = 0, CARA_TRANSLATE = 1 } cara_task;

#define CARA_MAX_TEMPERATURES 16

/* Of cara_options.audio_ctx. */
#define CARA_AUDIO_CTX_FULL 0
#define CARA_AUDIO_CTX_AUTO (-1)

/* Called per block of audio read, encoder layer, token and finished segment. `done` and `total` are
 * mel frames (10 ms); `total` is 0 until the audio was read once. Non-zero stops the work: the
 * result then holds the finished segments and `cut_short`. */
typedef int (*cara_progress_fn)(void *cookie, int64_t done, int64_t total);
/* Called as each segment is final, in order. The segment is borrowed for the call. */
typedef void (*cara_segment_fn)(void *cookie, const cara_segment *segment);

/* Named as transcribe()'s and DecodingOptions' parameters (whisper/transcribe.py, decoding.py).
 * cara_options_default() must fill it first: it gives transcribe()'s defaults and struct_size.
 * Pointers are borrowed for the call. */
typedef struct cara_options {
    size_t struct_size; /* set by cara_options_default() */
    const char
        *language; /* code or English name; NULL detects it; ignored by English-only models */
    cara_task task;
    /* Where the language is to be detected: of the first so many windows of 30 s, the first that is
     * more probable than the threshold, else the one of most windows. 1 and 0.5: the first alone,
     * as transcribe(). */
    int language_detection_segments;
    double language_detection_threshold;
    int multilingual; /* 1: the language is detected again in each window, also if one is given */
    double temperature[CARA_MAX_TEMPERATURES]; /* tried in this order; 0.0, 0.2 ... 1.0 */
    size_t n_temperatures;
    int best_of;           /* candidates at temperatures above 0; 0 is None, as DecodingOptions */
    int beam_size;         /* at temperature 0; 0 is None: greedy; 1 to 64 beams */
    double patience;       /* how many times beam_size sequences are waited for; NaN is None: 1;
                            * needs beam_size */
    double length_penalty; /* NaN is None */
    int sample_len;        /* most tokens a window; 0 is None: n_text_ctx / 2 */
    const char *suppress_tokens; /* "-1": the non-speech set; ids joined by commas; "" none */
    int suppress_blank;
    /* As faster-whisper and CTranslate2 have them, over the tokens of a window. */
    double repetition_penalty; /* logits of tokens that came before are lowered by it; 1: not */
    int no_repeat_ngram_size;  /* so many tokens in a row never come twice; 0: they may */
    int without_timestamps;
    double max_initial_timestamp;       /* seconds; NaN is None; default 1.0 */
    double compression_ratio_threshold; /* NaN is None; default 2.4 */
    double logprob_threshold;           /* NaN is None; default -1.0 */
    double no_speech_threshold;         /* NaN is None; default 0.6 */
    int condition_on_previous_text;
    double prompt_reset_on_temperature; /* above it a window's text is no later prompt; 0.5 */
    const char *prefix; /* text that each window begins with, and the result is without; NULL */
    const char *initial_prompt; /* NULL is None */
    int carry_initial_prompt;
    /* To go on where a run over the same audio was cut short, with clip_timestamps: the tokens of
     * that run's segments behind its last one with temperature > 0.5. NULL, 0: none. */
    const int32_t *previous_tokens; /* [n_previous_tokens] */
    size_t n_previous_tokens;
    int word_timestamps; /* 1: each segment has its words, and begins and ends with them */
    const char *prepend_punctuations; /* part of the next word; NULL is transcribe()'s default */
    const char *append_punctuations;  /* part of the word before; the same */
    /* Seconds; NaN is None. Silence of more than this around words that the model may have invented
     * is skipped; needs word_timestamps. */
    double hallucination_silence_threshold;
    const char *clip_timestamps; /* "start,end,start,..." in seconds; default "0" */
    /* Positions of the encoder (20 ms each) that are computed of a window. FULL, as openai/whisper:
     * all 1500, with silence behind a note that is shorter than 30 s. AUTO: as many as the window
     * holds of the audio and four seconds more, which saves time on short notes; words may differ
     * (docs/whisper.md). N: N, but never fewer than the window holds of the audio. */
    int audio_ctx;
    uint64_t seed; /* of the sampler; equal seeds give equal results */
    cara_progress_fn progress;
    cara_segment_fn on_segment;
    void *cookie; /* for both callbacks */
} cara_options;

/* Fills the caller's struct of `size` bytes (sizeof *options) with the defaults. It cannot fail. */
CARA_API void cara_options_default(cara_options *options, size_t size);

/* cara_session_options_default() must fill it first. */
typedef struct cara_session_options {
    size_t struct_size;    /* set by cara_session_options_default() */
    int threads;           /* 0: as many as this process may run on */
    const char *cpu_level; /* "scalar", "avx2", ...; NULL: $CARACOLA_CPU, else the best there is */
    /* What products are computed with. "default" or NULL: int8 where the model's weights are, else
     * float32. "int8": float weights are quantised, in memory of the session's own. "float32": a
     * model with int8 weights is refused. */
    const char *compute_type;
    /* A smaller model of the same vocabulary, borrowed for the session's life; NULL: none. It
     * proposes tokens that the model then verifies several at a time, where decoding is greedy
     * (temperature 0 without beams). The result is the same with and without it, except for its
     * timings. */
    const cara_model *draft_model;
    int draft_tokens; /* proposed in a pass, 1 to 7; 0: chosen by how many are accepted */
} cara_session_options;

/* As cara_options_default(). */
CARA_API void cara_session_options_default(cara_session_options *options, size_t size);

/* `options` may be NULL: the defaults. The model is borrowed and must outlive the session. On
 * success *out is the caller's, to be freed with cara_session_free(). On failure *out is NULL.
 * Returns CARA_OK or
 *   CARA_ERR_USAGE          an option out of its range; struct_size was not set, or is that of a
 *                           newer header than this library
 *   CARA_ERR_MEMORY         no memory for the session, or no thread could be started
 *   CARA_ERR_CPU            cpu_level or $CARACOLA_CPU names a level that this machine lacks
 *   CARA_ERR_VOCAB          the model has no vocabulary, or the draft model has another one
 *   CARA_ERR_MODEL_SHAPE    weights of a type or shape that the kernels do not read, or a draft
 *                           model with other mel bands */
CARA_API CARA_MUST_USE int cara_session_new(const cara_model *model,
                                            const cara_session_options *options, cara_session **out,
                                            cara_error *err);

#define CARA_MAX_SESSIONS 16

/* n sessions (1 to CARA_MAX_SESSIONS) to transcribe several audios at once, each in a thread of its
 * own: out [n]. They share the options' threads, which serve one at a time, and while several
 * decode, each weight is read once for all of them. Every result is what the session would give
 * alone; its timings are those of the clock, the others' turns included. Each takes memory for its
 * own window. They are freed one by one, and each may be used with or without the others. On
 * failure all of out is NULL. Returns what cara_session_new() returns; CARA_ERR_USAGE also where n
 * is out of its range, or above 1 with a draft model. */
CARA_API CARA_MUST_USE int cara_sessions_new(const cara_model *model,
                                             const cara_session_options *options, int n,
                                             cara_session **out, cara_error *err);

/* The level in use: "scalar", "avx2", ...; "" where `session` is NULL; static. */
CARA_API const char *cara_session_cpu_level(const cara_session *session);

/* transcribe() of whisper/transcribe.py. `options` may be NULL: the defaults. The session, the
 * source and the options are borrowed for the call. On success *out is the caller's, to be freed
 * with cara_result_free(). On failure *out is NULL and the session may be used again. Stopping by
 * the callback is a success with `cut_short` set. Returns CARA_OK or
 *   CARA_ERR_USAGE          an option out of its range or not for this model; struct_size was not
 *                           set, or is that of a newer header; source.read returned more samples
 *                           than were asked for
 *   CARA_ERR_MEMORY         no memory
 *   CARA_ERR_AUDIO_LIMIT    a transcript above the limit of 512 MiB
 *   CARA_ERR_INTERNAL       a defect of ours
 *   what source.read and source.rewind return: cara_audio_source() lists its codes */
CARA_API CARA_MUST_USE int cara_transcribe(cara_session *session, cara_pcm_source source,
                                           const cara_options *options, cara_result **out,
                                           cara_error *err);

/* Frees the session; NULL is allowed. */
CARA_API void cara_session_free(cara_session *session);

#ifdef __cplusplus
}
#endif
#endif
