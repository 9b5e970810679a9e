#include "whisper/decoding/transcribe.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>

#define N_FRAMES 3000 /* mel frames of a window */
#define FRAME_SECONDS(frames) ((double)((frames)*160) / 16000)

/* The state that flows from window to window. */
typedef struct listening {
    const cara_settings *settings;
    const cara_listener *listener;
    cara_result_owner *result;
    int64_t content_frames;
    int64_t input_stride;  /* mel frames per position of the encoder and step of timestamps: 2 */
    double time_precision; /* the same in seconds: 0.02 */
    int64_t seek;
    cara_buf tokens; /* int32_t: initial prompt, then all segments' tokens */
    size_t prompt_reset_since;
} listening;

static const int32_t *all_tokens(const listening *l, size_t *n) {
    *n = l->tokens.len / sizeof(int32_t);
    return (const int32_t *)(const void *)l->tokens.data;
}

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1,
                     "No memory for the transcript, or more than %zu MiB of it",
                     CARA_LIMIT_RESULT_BYTES / CARA_MIB);
}

/* The previous text that goes before the window. */
static int window_prompt(const listening *l, cara_arena *arena, const int32_t **prompt,
                         size_t *n_prompt) {
    size_t n;
    const int32_t *tokens = all_tokens(l, &n);
    size_t n_initial = l->settings->n_prompt;
    if (!l->settings->options.carry_initial_prompt) {
        *prompt = tokens ? tokens + l->prompt_reset_since : NULL;
        *n_prompt = n - l->prompt_reset_since;
        return 0;
    }
    /* The initial prompt, then the newest text that fits beside it: tokens[ignored:][-room:] of
     * Python, where room may be 0 (all of them) or less (all but the first -room). */
    size_t ignored = n_initial > l->prompt_reset_since ? n_initial : l->prompt_reset_since;
    size_t rest = n - ignored;
    int64_t room = l->settings->dims.n_text_ctx / 2 - 1 - (int64_t)n_initial;
    size_t skip = 0;
    if (room > 0)
        skip = rest > (size_t)room ? rest - (size_t)room : 0;
    else
        skip = rest < (size_t)-room ? rest : (size_t)-room;
    int32_t *joined = cara_arena_alloc(arena, n_initial + rest - skip + 1, sizeof *joined);
    if (!joined)
        return -1;
    if (n_initial)
        memcpy(joined, l->settings->prompt, n_initial * sizeof *joined);
    if (rest > skip)
        memcpy(joined + n_initial, tokens + ignored + skip, (rest - skip) * sizeof *joined);
    *prompt = joined;
    *n_prompt = n_initial + rest - skip;
    return 0;
}

/* decode_with_fallback(): up the ladder of temperatures until an outcome is good enough. In each
 * comparison a threshold of NaN (None) and a value of NaN are false. */
static int decode_with_fallback(const listening *l, const int32_t *prompt, size_t n_prompt,
                                cara_arena *arena, cara_decoding *out, cara_error *err) {
    const cara_options *o = &l->settings->options;
    for (size_t i = 0; i < o->n_temperatures; i++) {
        double temperature = o->temperature[i];
        cara_attempt attempt = {.prompt = prompt,
                                .n_prompt = n_prompt,
                                .temperature = temperature,
                                .candidates = temperature > 0 && o->best_of ? o->best_of : 1};
        int rc = l->listener->decode(l->listener->ctx, &attempt, arena, out, err);
        if (rc)
            return rc;
        int repetitive = out->compression_ratio > o->compression_ratio_threshold;
        int unlikely = out->avg_logprob < o->logprob_threshold;
        int silent = out->no_speech_prob > o->no_speech_threshold && unlikely;
        if (silent || (!repetitive && !unlikely))
            break;
    }
    return CARA_OK;
}

/* The no-speech rule: a window that is likely silent and was not decoded with confidence. */
static int is_silence(const cara_options *o, const cara_decoding *d) {
    return d->no_speech_prob > o->no_speech_threshold && !(d->avg_logprob > o->logprob_threshold);
}

/* new_segment(), then the clearing of those that say nothing. */
static int add_segment(listening *l, double start, double end, const int32_t *tokens, size_t n,
                       const cara_decoding *d, cara_error *err) {
    cara_arena *arena = &l->result->arena;
    int32_t eot = cara_tokenizer_special(l->settings->tokenizer)->eot;
    int32_t *kept = cara_arena_alloc(arena, 2 * n + 1, sizeof *kept);
    if (!kept)
        return no_memory(err);
    int32_t *words = kept + n; /* scratch behind it: those that are text */
    size_t n_words = 0;
    for (size_t i = 0; i < n; i++) {
        kept[i] = tokens[i];
        if (tokens[i] < eot)
            words[n_words++] = tokens[i];
    }
    const char *text = cara_decode_text(l->settings->tokenizer, words, n_words, arena);
    if (!text)
        return no_memory(err);
    cara_segment segment = {
        .seek = (int32_t)l->seek,
        .start = start,
        .end = end,
        .text = text,
        .tokens = kept,
        .n_tokens = n,
        .temperature = d->temperature,
        .avg_logprob = d->avg_logprob,
        .compression_ratio = d->compression_ratio,
        .no_speech_prob = d->no_speech_prob,
    };
    if (start == end || cara_utf8_strip(text, strlen(text)).len == 0) {
        segment.text = "";
        segment.n_tokens = 0;
        segment.cleared = 1;
    }
    if (segment.n_tokens && cara_buf_add(&l->tokens, kept, n * sizeof *kept))
        return no_memory(err);
    return cara_result_add(l->result, &segment) ? CARA_OK : no_memory(err);
}

/* Cuts the window's tokens into segments and moves seek on. */
static int cut_window(listening *l, const cara_decoding *d, int64_t segment_size, cara_error *err) {
    int32_t begin = l->settings->task.rules.timestamp_begin;
    const int32_t *tokens = d->tokens;
    size_t n = d->n_tokens;
    double time_offset = FRAME_SECONDS(l->seek);
    /* A single timestamp at the end: no speech follows it in this window. */
    int single_ending = n >= 2 && tokens[n - 2] < begin && tokens[n - 1] >= begin;
    int64_t advance = segment_size;

    size_t last_slice = 0;
    for (size_t i = 1; i <= n; i++) {
        int pair = i < n && tokens[i - 1] >= begin && tokens[i] >= begin;
        int tail = i == n && single_ending && last_slice > 0;
        if (!pair && !tail)
            continue;
        /* Without timestamp rules a slice may begin with text, of which the reference would make a
         * time far before 0: it then begins with the window. */
        int64_t from = tokens[last_slice] - begin;
        double start = time_offset + (double)(from < 0 ? 0 : from) * l->time_precision;
        double end = time_offset + (double)(tokens[i - 1] - begin) * l->time_precision;
        int rc = add_segment(l, start, end, tokens + last_slice, i - last_slice, d, err);
        if (rc)
            return rc;
        last_slice = i;
    }

    if (last_slice == 0) {
        /* No pair: one segment, to the last timestamp or to the end of what was heard. */
        double duration = FRAME_SECONDS(segment_size);
        for (size_t i = n; i-- > 0;) {
            if (tokens[i] >= begin) {
                if (tokens[i] > begin)
                    duration = (double)(tokens[i] - begin) * l->time_precision;
                break;
            }
        }
        int rc = add_segment(l, time_offset, time_offset + duration, tokens, n, d, err);
        if (rc)
            return rc;
    } else if (!single_ending) {
        /* The unfinished segment is left out and heard again from the last timestamp on. */
        advance = (tokens[last_slice - 1] - begin) * l->input_stride;
        if (advance <= 0)
            advance = segment_size; /* <|0.00|><|0.00|>: the reference would turn in circles */
    }
    l->seek += advance;
    return CARA_OK;
}

static int hear_window(listening *l, int64_t segment_size, cara_error *err) {
    const cara_options *o = &l->settings->options;
    const cara_listener *listener = l->listener;
    cara_arena scratch;
    cara_arena_init(&scratch, CARA_LIMIT_RESULT_BYTES);

    const int32_t *prompt = NULL;
    size_t n_prompt = 0;
    cara_decoding decoding;
    int rc = window_prompt(l, &scratch, &prompt, &n_prompt) ? no_memory(err) : CARA_OK;
    if (!rc)
        rc = listener->turn_to(listener->ctx, l->seek, segment_size, err);
    if (!rc)
        rc = decode_with_fallback(l, prompt, n_prompt, &scratch, &decoding, err);
    if (rc)
        goto done;

    if (is_silence(o, &decoding)) {
        l->seek += segment_size;
        goto done;
    }
    size_t first = l->result->result.n_segments;
    rc = cut_window(l, &decoding, segment_size, err);
    if (rc)
        goto done;
    /* Word timestamps belong here: they move segments and seek before the segments are final. */

    if (!o->condition_on_previous_text || decoding.temperature > 0.5)
        l->prompt_reset_since =
            l->tokens.len / sizeof(int32_t); /* what was guessed is no context */
    for (size_t i = first; o->on_segment && i < l->result->result.n_segments; i++)
        o->on_segment(o->cookie, &l->result->result.segments[i]);
done:
    cara_arena_free(&scratch);
    return rc;
}

static int hear_clip(listening *l, int64_t start, int64_t end, cara_error *err) {
    for (l->seek = start; l->seek < end;) {
        int64_t size = end - l->seek < N_FRAMES ? end - l->seek : N_FRAMES;
        int rc = hear_window(l, size, err);
        if (!rc)
            rc = l->listener->progress(l->listener->ctx, l->seek < end ? l->seek : end, err);
        if (rc)
            return rc;
    }
    return CARA_OK;
}

int cara_listen(const cara_settings *settings, int64_t content_frames,
                const cara_listener *listener, cara_result_owner *owner, cara_error *err) {
    listening l = {
        .settings = settings,
        .listener = listener,
        .result = owner,
        .content_frames = content_frames,
        .input_stride = N_FRAMES / settings->dims.n_audio_ctx,
    };
    l.time_precision = FRAME_SECONDS(l.input_stride);
    cara_buf_init(&l.tokens, CARA_LIMIT_RESULT_BYTES);
    cara_result *result = &owner->result;
    int rc = CARA_OK;
    if (settings->n_prompt &&
        cara_buf_add(&l.tokens, settings->prompt, settings->n_prompt * sizeof(int32_t)))
        rc = no_memory(err);
    const cara_options *o = &settings->options;
    if (!rc && o->n_previous_tokens &&
        cara_buf_add(&l.tokens, o->previous_tokens, o->n_previous_tokens * sizeof(int32_t)))
        rc = no_memory(err);
    size_t n_given = settings->n_prompt + o->n_previous_tokens;

    for (size_t i = 0; !rc && i < settings->n_clips; i += 2) {
        /* Clips are cut to the audio: past its end the reference would hear nothing for ever. */
        int64_t end = i + 1 < settings->n_clips ? settings->clips[i + 1] : content_frames;
        end = end < content_frames ? end : content_frames;
        rc = hear_clip(&l, settings->clips[i], end, err);
        if (rc == CARA_ERR_CANCELLED && i + 2 >= settings->n_clips && l.seek >= end)
            rc = CARA_OK; /* too late: there was nothing left to stop */
    }
    if (rc == CARA_ERR_CANCELLED) {
        result->cut_short = 1;
        rc = CARA_OK;
    }
    if (rc)
        goto done;

    size_t n;
    const int32_t *tokens = all_tokens(&l, &n);
    result->text = n > n_given ? cara_decode_text(settings->tokenizer, tokens + n_given,
                                                  n - n_given, &owner->arena)
                               : "";
    if (!result->text) {
        result->text = "";
        rc = no_memory(err);
    }
    result->no_speech = 1;
    for (size_t i = 0; i < result->n_segments; i++)
        if (*result->segments[i].text)
            result->no_speech = 0;
done:
    cara_buf_free(&l.tokens);
    return rc;
}
