/* transcribe() of whisper/transcribe.py: windows of 30 s in, segments out. Read it from the bottom
 * up: cara_transcribe() opens the audio, detects the language and goes from window to window;
 * transcribe_window() encodes one, decodes it with decode_with_fallback(), cuts it into segments
 * and commits them with new_segment(). */
#include "base/clock.h"
#include "base/limits.h"
#include "base/memory/buf.h"
#include "base/utf8.h"
#include "tokenizer/language.h"
#include "transcript/result.h"
#include "whisper/decoding/decoding.h"
#include "whisper/decoding/fallback.h"
#include "whisper/decoding/segments.h"
#include "whisper/decoding/settings.h"
#include "whisper/session.h"
#include "whisper/words/hallucination.h"
#include "whisper/words/word_times.h"

#include <caracola/transcribe.h>

#include <stdlib.h>
#include <string.h>

/* One call of cara_transcribe(): what passes from window to window. */
typedef struct transcription {
    cara_session *session;
    cara_settings settings;
    cara_arena arena; /* of the settings */
    cara_random random;
    cara_pcm_source source; /* the caller's */
    cara_mel_stream *mel;
    cara_result_owner *owner;
    int64_t content_frames;             /* of the audio; 0 until it was read once */
    int64_t seek;                       /* first mel frame of the current window */
    int64_t done;                       /* mel frames, for the progress callback */
    int64_t encoded_seek, encoded_size; /* the window that the backend holds; size -1: none */
    cara_buf all_tokens; /* int32_t: initial prompt, previous tokens, then all segments' */
    size_t prompt_reset_since;
    double last_speech_timestamp; /* seconds; of word times */
    cara_timings timings;
    size_t drafted, drafted_right;
} transcription;

/* ---- the caller's callbacks ---- */

static int should_stop(void *cookie) {
    const transcription *t = cookie;
    const cara_options *o = &t->settings.options;
    return o->progress ? o->progress(o->cookie, t->done, t->content_frames) : 0;
}

/* What the session's backend and its draft's poll while they work. */
static void set_stop(cara_session *session, cara_backend_stop stop) {
    session->backend->ops->set_stop(session->backend, stop);
    cara_draft_set_stop(session->draft, stop);
}

static int check_stop(transcription *t, cara_error *err) {
    return should_stop(t)
               ? cara_fail(err, CARA_ERR_CANCELLED, -1, "Stopped by the progress callback")
               : CARA_OK;
}

/* All before frame `done` is finished. */
static int report_progress(transcription *t, int64_t done, cara_error *err) {
    t->done = done < t->content_frames ? done : t->content_frames;
    return check_stop(t, err);
}

/* Hours of audio are read before the first window: that can be stopped, too. */
static int64_t timed_read(void *ctx, float *dst, size_t n, cara_error *err) {
    transcription *t = ctx;
    int rc = check_stop(t, err);
    if (rc)
        return rc;
    double start = cara_clock_monotonic();
    int64_t got = t->source.read(t->source.ctx, dst, n, err);
    t->timings.audio_s += cara_clock_monotonic() - start;
    return got;
}

static int timed_rewind(void *ctx, cara_error *err) {
    transcription *t = ctx;
    double start = cara_clock_monotonic();
    int rc = t->source.rewind(t->source.ctx, err);
    t->timings.audio_s += cara_clock_monotonic() - start;
    return rc;
}

/* ---- a window ---- */

/* Nothing was given: the memory or the limit of the transcript ended. */
static int no_memory(const transcription *t, cara_error *err) {
    if (t->all_tokens.full || (t->owner && t->owner->arena.full))
        return cara_fail(err, CARA_ERR_AUDIO_LIMIT, -1,
                         "The transcript is larger than the limit of %zu MiB; divide the audio",
                         CARA_LIMIT_RESULT_BYTES / CARA_MIB);
    return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the transcript");
}

/* Encodes the n_frames mel frames from `seek` on; the rest of the 30 s is silence. */
static int encode_window(transcription *t, int64_t seek, int64_t n_frames, cara_error *err) {
    cara_session *s = t->session;
    t->done = seek < t->content_frames ? seek : t->content_frames;
    if (t->encoded_size == n_frames && t->encoded_seek == seek)
        return CARA_OK; /* its language was detected */
    t->encoded_size = -1;

    double start = cara_clock_monotonic(), audio_before = t->timings.audio_s;
    int rc = cara_mel_stream_window(t->mel, seek, n_frames, s->mel, err);
    t->timings.mel_s += cara_clock_monotonic() - start - (t->timings.audio_s - audio_before);
    if (rc)
        return rc;
    start = cara_clock_monotonic();
    size_t audio_ctx = (size_t)cara_settings_audio_ctx(&t->settings, n_frames);
    if (s->draft)
        cara_draft_set_window(s->draft, s->mel, audio_ctx, &t->settings.task.rules);
    rc = s->backend->ops->encode_window(s->backend, 0, s->mel, audio_ctx, err);
    t->timings.encode_s += cara_clock_monotonic() - start;
    if (rc)
        return rc;
    t->encoded_seek = seek;
    t->encoded_size = n_frames;
    return CARA_OK;
}

/* Memory for rows of logits. */
static int reserve_logits(cara_session *s, size_t rows, cara_error *err) {
    if (s->logit_rows >= rows)
        return CARA_OK;
    float *logits = realloc(s->logits, rows * (size_t)s->dims->n_vocab * sizeof *logits);
    if (!logits)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for %zu rows of logits", rows);
    s->logits = logits;
    s->logit_rows = rows;
    return CARA_OK;
}

/* Slots of the backend for an attempt, and memory for its logits. */
static int reserve(cara_session *s, const cara_attempt *attempt, cara_error *err) {
    int rc = reserve_logits(s, cara_decode_logit_rows(attempt), err);
    return rc ? rc : s->backend->ops->reserve_slots(s->backend, 0, attempt->candidates, err);
}

/* detect_language() of the window that was encoded last. */
static int window_language(transcription *t, int *language, double *probability, cara_error *err) {
    cara_session *s = t->session;
    double start = cara_clock_monotonic();
    int rc = reserve(s, &(cara_attempt){.candidates = 1}, err);
    if (!rc)
        rc = cara_detect_language(s->tokenizer, s->kernels, s->backend, s->logits, language,
                                  probability, err);
    t->timings.decode_s += cara_clock_monotonic() - start;
    return rc;
}

/* The language of this window alone. */
static int change_language(transcription *t, cara_error *err) {
    int language = 0;
    double probability = 0;
    int rc = window_language(t, &language, &probability, err);
    if (!rc)
        cara_settings_language(&t->settings, language);
    return rc;
}

/* Tries one temperature after the other until a result is good enough. */
static int decode_with_fallback(transcription *t, const int32_t *prompt, size_t n_prompt,
                                cara_arena *arena, cara_decoding *out, cara_error *err) {
    cara_session *s = t->session;
    const cara_options *o = &t->settings.options;
    double start = cara_clock_monotonic();
    int rc = CARA_OK;
    for (size_t i = 0; i < o->n_temperatures && !rc; i++) {
        double temperature = o->temperature[i];
        int candidates = temperature > 0 ? o->best_of : o->beam_size;
        const cara_attempt attempt = {.prompt = prompt,
                                      .n_prompt = n_prompt,
                                      .temperature = temperature,
                                      .candidates = candidates ? candidates : 1,
                                      .patience =
                                          temperature > 0 || !o->beam_size ? 0 : o->patience,
                                      .draft = s->draft};
        rc = reserve(s, &attempt, err);
        if (!rc)
            rc = cara_decode(&t->settings.task, &attempt, s->backend, &t->random, s->logits, arena,
                             out, err);
        if (rc)
            break;
        t->drafted += out->drafted;
        t->drafted_right += out->drafted_right;
        if (!cara_needs_fallback(o, out))
            break;
    }
    double in_draft = cara_draft_seconds(s->draft);
    t->timings.decode_s += cara_clock_monotonic() - start - in_draft;
    t->timings.draft_s += in_draft;
    return rc;
}

static const int32_t *all_tokens(const transcription *t, size_t *n) {
    *n = t->all_tokens.len / sizeof(int32_t);
    return (const int32_t *)(const void *)t->all_tokens.data;
}

/* The previous text that goes before the window. */
static int window_prompt(const transcription *t, cara_arena *arena, const int32_t **prompt,
                         size_t *n_prompt) {
    size_t n;
    const int32_t *tokens = all_tokens(t, &n);
    size_t n_initial = t->settings.n_prompt;
    if (!t->settings.options.carry_initial_prompt) {
        *prompt = tokens ? tokens + t->prompt_reset_since : NULL;
        *n_prompt = n - t->prompt_reset_since;
        return 0;
    }
    /* The initial prompt, then the newest text that fits beside it: tokens[ignored:][-room:] of
     * Python, where room may be 0 (all of them) or less (all but the first -room). */
    size_t ignored = n_initial > t->prompt_reset_since ? n_initial : t->prompt_reset_since;
    size_t rest = n - ignored;
    int64_t room = t->settings.dims.n_text_ctx / 2 - 1 - (int64_t)n_initial;
    size_t skip = 0;
    if (room > 0)
        skip = rest > (size_t)room ? rest - (size_t)room : 0;
    else
        skip = rest < (size_t)-room ? rest : (size_t)-room;
    int32_t *joined = cara_arena_alloc(arena, n_initial + rest - skip + 1, sizeof *joined);
    if (!joined)
        return -1;
    if (n_initial)
        memcpy(joined, t->settings.prompt, n_initial * sizeof *joined);
    if (rest > skip)
        memcpy(joined + n_initial, tokens + ignored + skip, (rest - skip) * sizeof *joined);
    *prompt = joined;
    *n_prompt = n_initial + rest - skip;
    return 0;
}

/* A copy in the arena, never NULL but where there is no memory. */
static const cara_word *copy_words(cara_arena *arena, const cara_word *words, size_t n) {
    cara_word *copy = cara_arena_alloc(arena, n + 1, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = words[i];
        copy[i].word = cara_arena_strdup(arena, words[i].word);
        if (!copy[i].word)
            return NULL;
    }
    return copy;
}

/* Commits a segment to the result: its text, and its tokens as a later prompt. One without text or
 * duration is cleared. */
static int new_segment(transcription *t, const cara_cut_segment *cut, const cara_decoding *d,
                       cara_error *err) {
    cara_arena *arena = &t->owner->arena;
    int32_t eot = t->settings.task.rules.eot;
    int32_t *kept = cara_arena_alloc(arena, 2 * cut->n_tokens + 1, sizeof *kept);
    if (!kept)
        return no_memory(t, err);
    int32_t *text_tokens = kept + cut->n_tokens; /* scratch behind it */
    size_t n_text_tokens = 0;
    for (size_t i = 0; i < cut->n_tokens; i++) {
        kept[i] = cut->tokens[i];
        if (kept[i] < eot)
            text_tokens[n_text_tokens++] = kept[i];
    }
    const char *text =
        cara_tokenizer_text(t->settings.tokenizer, text_tokens, n_text_tokens, arena);
    if (!text)
        return no_memory(t, err);
    cara_segment segment = {
        .seek = (int32_t)t->seek,
        .start = cut->start,
        .end = cut->end,
        .text = text,
        .tokens = kept,
        .n_tokens = cut->n_tokens,
        .temperature = d->temperature,
        .avg_logprob = d->avg_logprob,
        .compression_ratio = d->compression_ratio,
        .no_speech_prob = d->no_speech_prob,
    };
    if (cut->start == cut->end || cara_utf8_strip(text, strlen(text)).len == 0) {
        segment.text = "";
        segment.n_tokens = 0;
        segment.cleared = 1;
    }
    if (t->settings.options.word_timestamps) {
        segment.n_words = segment.cleared ? 0 : cut->n_words;
        segment.words = copy_words(arena, cut->words, segment.n_words);
        if (!segment.words)
            return no_memory(t, err);
    }
    if (segment.n_tokens && cara_buf_add(&t->all_tokens, kept, segment.n_tokens * sizeof *kept))
        return no_memory(t, err);
    return cara_result_add(t->owner, &segment) ? CARA_OK : no_memory(t, err);
}

/* The words of a window's segments, which move the segments and the next window. *skip is 1 where
 * nothing of this one counts. */
static int add_words(transcription *t, int64_t segment_size, cara_cut *cut, cara_arena *arena,
                     int *skip, cara_error *err) {
    cara_session *s = t->session;
    const cara_options *o = &t->settings.options;
    double start = cara_clock_monotonic();
    int rc = reserve_logits(s, CARA_WORD_LOGIT_ROWS, err);
    if (rc)
        return rc;
    const cara_word_window window = {
        .settings = &t->settings,
        .backend = s->backend,
        .heads = s->heads,
        .n_heads = s->n_heads,
        .logits = s->logits,
        .seek = t->seek,
        .segment_size = segment_size,
        .n_positions = (size_t)cara_settings_audio_ctx(&t->settings, segment_size),
        .last_speech_timestamp = t->last_speech_timestamp,
    };
    rc = cara_add_word_timestamps(&window, cut, arena, err);
    t->timings.words_s += cara_clock_monotonic() - start;
    if (rc)
        return rc;
    *skip =
        cara_advance_by_words(&window, o->hallucination_silence_threshold, t->content_frames, cut);
    double end = *skip ? -1 : cara_words_end(cut);
    if (end >= 0)
        t->last_speech_timestamp = end;
    return CARA_OK;
}

/* The window of segment_size mel frames at seek: encoded, decoded, cut, committed. Moves seek on.
 */
static int transcribe_window(transcription *t, int64_t segment_size, cara_error *err) {
    const cara_options *o = &t->settings.options;
    const cara_cut_window window = {.seek = t->seek,
                                    .segment_size = segment_size,
                                    .input_stride = CARA_N_FRAMES / t->settings.dims.n_audio_ctx,
                                    .timestamp_begin = t->settings.task.rules.timestamp_begin};
    cara_arena scratch;
    cara_arena_init(&scratch, CARA_LIMIT_RESULT_BYTES);
    const int32_t *prompt = NULL;
    size_t n_prompt = 0;
    cara_decoding decoding;
    cara_cut cut;
    int rc = window_prompt(t, &scratch, &prompt, &n_prompt) ? no_memory(t, err) : CARA_OK;
    if (!rc)
        rc = encode_window(t, t->seek, segment_size, err);
    if (!rc && o->multilingual && cara_tokenizer_is_multilingual(t->settings.tokenizer))
        rc = change_language(t, err);
    if (!rc)
        rc = decode_with_fallback(t, prompt, n_prompt, &scratch, &decoding, err);
    if (rc)
        goto done;
    if (cara_should_skip(o, &decoding)) {
        t->seek += segment_size;
        goto done;
    }
    size_t first = t->owner->result.n_segments;
    int skip = 0;
    rc = cara_cut_segments(&window, &decoding, &scratch, &cut, err);
    if (!rc && o->word_timestamps)
        rc = add_words(t, segment_size, &cut, &scratch, &skip, err);
    if (!rc && skip) {
        t->seek += cut.advance;
        goto done;
    }
    for (size_t i = 0; i < cut.n_segments && !rc; i++)
        rc = new_segment(t, &cut.segments[i], &decoding, err);
    if (rc)
        goto done;
    t->seek += cut.advance;
    if (!o->condition_on_previous_text || decoding.temperature > o->prompt_reset_on_temperature)
        (void)all_tokens(t, &t->prompt_reset_since); /* no prompt of what was sampled */
    for (size_t i = first; o->on_segment && i < t->owner->result.n_segments; i++)
        o->on_segment(o->cookie, &t->owner->result.segments[i]);
done:
    cara_arena_free(&scratch);
    return rc;
}

/* ---- the whole ---- */

/* Reads the audio once, for its length and its loudest mel value. */
static int open_audio(transcription *t, cara_error *err) {
    cara_session *s = t->session;
    cara_pcm_source source = {.read = timed_read, .rewind = timed_rewind, .ctx = t};
    double start = cara_clock_monotonic();
    int rc = cara_mel_stream_open(s->mel_tables, source, s->mel_pool, &t->mel, err);
    t->timings.mel_s += cara_clock_monotonic() - start - t->timings.audio_s;
    if (rc)
        return rc;
    t->content_frames = cara_mel_stream_content_frames(t->mel);
    t->owner->result.duration_s = (double)cara_mel_stream_samples(t->mel) / CARA_SAMPLE_RATE;
    if (t->source.gaps)
        t->owner->result.audio_gaps = t->source.gaps(t->source.ctx);
    return CARA_OK;
}

/* The first 30 s, the silence after them included (transcribe() detects on the padded audio, but
 * decodes windows that hold zeros there), or the 30 s at `seek`. */
static int encode_for_language(transcription *t, int64_t seek, cara_error *err) {
    int64_t left = t->content_frames - seek, size = CARA_N_FRAMES;
    /* A shortened window is shortened here, too: the same one is decoded later, and encoded only
     * once. */
    if (left < size && (seek > 0 || t->settings.options.audio_ctx != CARA_AUDIO_CTX_FULL))
        size = left;
    return encode_window(t, seek, size, err);
}

/* detect_language() of the first windows, as faster-whisper's: the first language that is probable
 * enough, else the one of most windows. */
static int detect_language(transcription *t, cara_error *err) {
    const cara_options *o = &t->settings.options;
    int votes[CARA_N_LANGUAGES] = {0}, found[CARA_N_LANGUAGES] = {0}, n_found = 0, best = 0;
    double highest[CARA_N_LANGUAGES] = {0};
    int64_t seek = 0;
    for (int i = 0; i < o->language_detection_segments; i++, seek += CARA_N_FRAMES) {
        int language = 0;
        double probability = 0;
        if (i > 0 && seek >= t->content_frames)
            break;
        int rc = encode_for_language(t, seek, err);
        if (!rc)
            rc = window_language(t, &language, &probability, err);
        if (rc)
            return rc;
        if (!votes[language]++)
            found[n_found++] = language;
        if (probability > o->language_detection_threshold) {
            votes[language] = INT32_MAX;
            highest[language] = probability;
            break;
        }
        if (probability > highest[language])
            highest[language] = probability;
    }
    for (int i = 1; i < n_found; i++) /* of equals the first that was found */
        if (votes[found[i]] > votes[found[best]])
            best = i;
    t->owner->result.language_probability = highest[found[best]];
    cara_settings_language(&t->settings, found[best]);
    return CARA_OK;
}

/* What goes before the first window's text: the initial prompt, and tokens of an earlier run. */
static int add_given_tokens(transcription *t, cara_error *err) {
    const cara_settings *s = &t->settings;
    const cara_options *o = &s->options;
    if (s->n_prompt && cara_buf_add(&t->all_tokens, s->prompt, s->n_prompt * sizeof(int32_t)))
        return no_memory(t, err);
    if (o->n_previous_tokens &&
        cara_buf_add(&t->all_tokens, o->previous_tokens, o->n_previous_tokens * sizeof(int32_t)))
        return no_memory(t, err);
    return CARA_OK;
}

/* Window after window of each clip. CANCELLED where the progress callback stopped it in time. */
static int transcribe_clips(transcription *t, cara_error *err) {
    const cara_settings *s = &t->settings;
    int rc = CARA_OK;
    for (size_t i = 0; i < s->n_clips && !rc; i += 2) {
        /* Clips are cut to the audio: past its end the reference would decode silence for ever. */
        int64_t end = i + 1 < s->n_clips ? s->clips[i + 1] : t->content_frames;
        end = end < t->content_frames ? end : t->content_frames;
        for (t->seek = s->clips[i]; t->seek < end && !rc;) {
            int64_t size = end - t->seek < CARA_N_FRAMES ? end - t->seek : CARA_N_FRAMES;
            rc = transcribe_window(t, size, err);
            if (!rc)
                rc = report_progress(t, t->seek < end ? t->seek : end, err);
        }
        if (rc == CARA_ERR_CANCELLED && i + 2 >= s->n_clips && t->seek >= end)
            rc = CARA_OK; /* too late: there was nothing left to stop */
    }
    return rc;
}

/* The text of all segments, and whether there is any. */
static int finish_result(transcription *t, cara_error *err) {
    cara_result *result = &t->owner->result;
    size_t n, n_given = t->settings.n_prompt + t->settings.options.n_previous_tokens;
    const int32_t *tokens = all_tokens(t, &n);
    result->no_speech = 1;
    for (size_t i = 0; i < result->n_segments; i++)
        if (*result->segments[i].text)
            result->no_speech = 0;
    if (n <= n_given)
        return CARA_OK;
    const char *text =
        cara_tokenizer_text(t->settings.tokenizer, tokens + n_given, n - n_given, &t->owner->arena);
    if (!text)
        return no_memory(t, err);
    result->text = text;
    return CARA_OK;
}

int cara_transcribe(cara_session *session, cara_pcm_source source, const cara_options *options,
                    cara_result **out, cara_error *err) {
    if (!out)
        return cara_fail_null(err, __func__, "out");
    *out = NULL;
    if (!session)
        return cara_fail_null(err, __func__, "session");
    if (!source.read || !source.rewind)
        return cara_fail_null(err, __func__, source.read ? "source.rewind" : "source.read");
    double start = cara_clock_monotonic();
    /* The caller's stays as it is where the work is only stopped. */
    cara_error failure = {.code = CARA_OK, .position = -1};
    transcription t = {.session = session, .source = source, .encoded_size = -1};
    cara_arena_init(&t.arena, CARA_LIMIT_RESULT_BYTES);
    cara_buf_init(&t.all_tokens, CARA_LIMIT_RESULT_BYTES);
    t.owner = cara_result_new(session->result_limit);
    int rc = t.owner ? CARA_OK : no_memory(&t, &failure);
    if (!rc)
        rc = cara_settings_check(options, session->dims, session->tokenizer, session->kernels,
                                 &t.arena, &t.settings, &failure);
    if (rc)
        goto done;
    cara_random_seed(&t.random, t.settings.options.seed);
    set_stop(session, (cara_backend_stop){should_stop, &t});
    rc = add_given_tokens(&t, &failure);
    if (!rc)
        rc = open_audio(&t, &failure);
    if (!rc && t.settings.language < 0)
        rc = detect_language(&t, &failure);
    if (!rc) {
        t.owner->result.language = cara_language_code(t.settings.language);
        rc = transcribe_clips(&t, &failure);
    }
    if (rc == CARA_ERR_CANCELLED) { /* a success: the finished segments are kept */
        t.owner->result.cut_short = 1;
        rc = CARA_OK;
    }
    if (!rc)
        rc = finish_result(&t, &failure);
    set_stop(session, (cara_backend_stop){NULL, NULL});
done:
    cara_mel_stream_close(t.mel);
    cara_buf_free(&t.all_tokens);
    cara_arena_free(&t.arena);
    if (rc) {
        if (failure.code == CARA_OK) /* a source that only returned a code */
            (void)cara_fail(&failure, (cara_code)rc, -1, "The samples could not be read: %s",
                            cara_code_name((cara_code)rc));
        if (err)
            *err = failure;
        cara_result_free(t.owner ? &t.owner->result : NULL);
        return rc;
    }
    t.timings.total_s = cara_clock_monotonic() - start;
    t.owner->result.timings = t.timings;
    t.owner->result.drafted = t.drafted;
    t.owner->result.drafted_right = t.drafted_right;
    *out = &t.owner->result;
    return CARA_OK;
}
