/* What cara_transcribe() returns: plain structs in one block, freed together. Only the library
 * makes them, so that later versions may add members. */
#ifndef CARACOLA_RESULT_H
#define CARACOLA_RESULT_H

#include <caracola/audio.h>
#include <caracola/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A word and when it was said (whisper/timing.py: WordTiming). */
typedef struct cara_word {
    const char *word;     /* valid UTF-8, with the space and the punctuation that belong to it */
    double start;         /* seconds */
    double end;           /* seconds */
    double probability;   /* the mean of its tokens' */
    uint64_t reserved[2]; /* 0: room for members to come, since words lie in an array */
} cara_word;

/* The ten fields of openai/whisper's segments (whisper/transcribe.py: new_segment). */
typedef struct cara_segment {
    int32_t id;
    int32_t seek;          /* first mel frame (10 ms each) of the window that it comes from */
    double start;          /* seconds */
    double end;            /* seconds */
    const char *text;      /* valid UTF-8, usually with a leading space */
    const int32_t *tokens; /* [n_tokens] */
    size_t n_tokens;
    double temperature;
    double avg_logprob;       /* may be NaN, as in openai/whisper; written as null in JSON */
    double compression_ratio; /* may be NaN */
    double no_speech_prob;    /* may be NaN */
    int cleared; /* 1 where transcribe() emptied it: openai's JSON then has "words": [] */
    const cara_word *words; /* [n_words]; none without word_timestamps */
    size_t n_words;
    uint64_t reserved[6]; /* 0: room for members to come, since segments lie in an array */
} cara_segment;

typedef struct cara_timings {
    double audio_s; /* decoding and resampling */
    double mel_s;
    double encode_s; /* the encoder, and the cross-attention's keys and values of the decoder */
    double decode_s;
    double draft_s; /* a draft model's encoding and decoding; in no other member but the total */
    double words_s; /* the times of words */
    double total_s;
    double reserved[3]; /* 0: room for members to come */
} cara_timings;

typedef struct cara_result {
    const char *text;            /* all segments' tokens as UTF-8 */
    const char *language;        /* "es", "en", ...; static; "" where stopped before it was known */
    double language_probability; /* of the detected language, or NaN when it was given */
    const cara_segment *segments; /* [n_segments] */
    size_t n_segments;
    double duration_s;    /* of the audio that was read */
    cara_gaps audio_gaps; /* what was missing in it; part of duration_s */
    int no_speech;        /* 1 where no segment has text */
    int cut_short;        /* 1 where the progress callback stopped it; segments so far are kept */
    size_t drafted;       /* tokens that the draft model proposed */
    size_t drafted_right; /* of these, those that were accepted */
    cara_timings timings;
} cara_result;

/* Frees a result and all it points to; NULL is allowed. */
CARA_API void cara_result_free(cara_result *result);

#ifdef __cplusplus
}
#endif
#endif
