#include "whisper/decoding/settings.h"

#include "base/limits.h"
#include "base/memory/buf.h"
#include "base/sized.h"
#include "base/utf8.h"
#include "tokenizer/language.h"
#include "whisper/mel/mel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Positions behind the audio with CARA_AUDIO_CTX_AUTO: four seconds, by measurement
 * (docs/SPEED.md). */
#define AUTO_MARGIN 200

#define PREPEND_PUNCTUATIONS "\"'“¿([{-"
#define APPEND_PUNCTUATIONS "\"'.。,，!！?？:：”)]}、"

/* A ceiling for memory: sequences that end are kept until the window's end. */
#define MAX_PATIENCE 100

void cara_options_default(cara_options *options, size_t size) {
    const cara_options defaults = {
        .struct_size = sizeof defaults,
        .temperature = {0.0, 0.2, 0.4, 0.6, 0.8, 1.0},
        .n_temperatures = 6,
        .patience = NAN,
        .length_penalty = NAN,
        .suppress_tokens = "-1",
        .suppress_blank = 1,
        .max_initial_timestamp = 1.0,
        .compression_ratio_threshold = 2.4,
        .logprob_threshold = -1.0,
        .no_speech_threshold = 0.6,
        .condition_on_previous_text = 1,
        .prompt_reset_on_temperature = 0.5,
        .repetition_penalty = 1,
        .language_detection_segments = 1,
        .language_detection_threshold = 0.5,
        .prepend_punctuations = PREPEND_PUNCTUATIONS,
        .append_punctuations = APPEND_PUNCTUATIONS,
        .hallucination_silence_threshold = NAN,
        .clip_timestamps = "0",
    };
    cara_sized_default(options, size, &defaults, sizeof defaults);
}

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the options");
}

static int check_language(cara_settings *s, cara_error *err) {
    const char *wanted = s->options.language;
    int n = cara_tokenizer_n_languages(s->tokenizer);
    s->language = -1;
    int found = wanted ? cara_language_find(wanted) : -1;
    if (!cara_tokenizer_is_multilingual(s->tokenizer)) {
        /* As the reference's command does: ignored by English-only models. */
        if (!wanted || found >= 0) {
            s->language = cara_language_find("en");
            return CARA_OK;
        }
        n = CARA_N_LANGUAGES;
    }
    if (!wanted)
        return CARA_OK;
    if (found >= 0 && found < n) {
        s->language = found;
        return CARA_OK;
    }
    char codes[4 * CARA_N_LANGUAGES + 1] = "";
    size_t at = 0;
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(codes + at, sizeof codes - at, "%s%.3s", i ? " " : "",
                               cara_language_code(i));
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "language is \"%.40s\"; this model takes an English name (\"spanish\") or one "
                     "of %s",
                     wanted, codes);
}

static int check_numbers(cara_settings *s, cara_error *err) {
    const cara_options *o = &s->options;
    if (o->task != CARA_TRANSCRIBE && o->task != CARA_TRANSLATE)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "task is %d; it takes CARA_TRANSCRIBE or CARA_TRANSLATE", (int)o->task);
    if (o->n_temperatures < 1 || o->n_temperatures > CARA_MAX_TEMPERATURES)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "temperature has %zu values; it takes 1 to %d of them", o->n_temperatures,
                         CARA_MAX_TEMPERATURES);
    for (size_t i = 0; i < o->n_temperatures; i++)
        if (!(o->temperature[i] >= 0 && o->temperature[i] <= 100))
            return cara_fail(err, CARA_ERR_USAGE, -1, "temperature is %g; it takes 0 to 100",
                             o->temperature[i]);
    if (o->beam_size < 0 || o->beam_size > CARA_MAX_CANDIDATES)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "beam_size is %d; it takes 1 to %d, or None (0) for greedy decoding",
                         o->beam_size, CARA_MAX_CANDIDATES);
    if (!isnan(o->patience) && !o->beam_size)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "patience is %g, but patience requires beam_size to be given; leave it "
                         "out or give None",
                         o->patience);
    if (!isnan(o->patience) &&
        !(rint(o->beam_size * o->patience) >= 1 && o->patience <= MAX_PATIENCE))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "patience is %g; times beam_size it takes at least 1, and itself at most "
                         "%d, or None",
                         o->patience, MAX_PATIENCE);
    if (o->best_of < 0 || o->best_of > CARA_MAX_CANDIDATES)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "best_of is %d; it takes 1 to %d, or None (0) for one candidate",
                         o->best_of, CARA_MAX_CANDIDATES);
    if (!isnan(o->length_penalty) && !(o->length_penalty >= 0 && o->length_penalty <= 1))
        return cara_fail(err, CARA_ERR_USAGE, -1, "length_penalty is %g; it takes 0 to 1, or None",
                         o->length_penalty);
    if (o->audio_ctx < CARA_AUDIO_CTX_AUTO || o->audio_ctx > s->dims.n_audio_ctx)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "audio_ctx is %d; this model takes 1 to %d, CARA_AUDIO_CTX_FULL or "
                         "CARA_AUDIO_CTX_AUTO",
                         o->audio_ctx, (int)s->dims.n_audio_ctx);
    if (!isnan(o->hallucination_silence_threshold) &&
        !(o->hallucination_silence_threshold >= 0 && o->hallucination_silence_threshold <= 1e6))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "hallucination_silence_threshold is %g; it takes seconds from 0, or None",
                         o->hallucination_silence_threshold);
    if (!(o->repetition_penalty > 0 && o->repetition_penalty <= 1e6))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "repetition_penalty is %g; it takes a number above 0, and 1 is none",
                         o->repetition_penalty);
    if (o->no_repeat_ngram_size < 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "no_repeat_ngram_size is %d; it takes 1 or more, or 0 for none",
                         o->no_repeat_ngram_size);
    if (isnan(o->prompt_reset_on_temperature))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "prompt_reset_on_temperature is not a number; it takes a temperature");
    if (o->language_detection_segments < 1)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "language_detection_segments is %d; it takes 1 or more",
                         o->language_detection_segments);
    if (!(o->language_detection_threshold >= 0 && o->language_detection_threshold <= 1))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "language_detection_threshold is %g; it takes 0 to 1",
                         o->language_detection_threshold);
    if (o->sample_len < 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "sample_len is %d; it takes 1 or more, or None (0)", o->sample_len);
    if (!isnan(o->max_initial_timestamp) &&
        !(o->max_initial_timestamp >= 0 && o->max_initial_timestamp <= 30))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "max_initial_timestamp is %g; it takes 0 to 30 seconds, or None",
                         o->max_initial_timestamp);
    return CARA_OK;
}

static int compare_ids(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* DecodingTask._get_suppress_tokens() */
static int check_suppress(cara_settings *s, cara_arena *arena, cara_error *err) {
    const char *text = s->options.suppress_tokens;
    if (!text || !*text)
        return CARA_OK; /* no filter at all, not even for the special tokens */

    size_t n_given = 1, n_non_speech = 0;
    for (const char *p = text; *p; p++)
        n_given += *p == ',';
    const int32_t *non_speech = cara_tokenizer_non_speech(s->tokenizer, &n_non_speech);
    int32_t *ids = cara_arena_alloc(arena, n_given + n_non_speech + 6, sizeof *ids);
    if (!ids)
        return no_memory(err);

    size_t n = 0;
    int expand = 0;
    for (const char *p = text;;) {
        char *end;
        long id = strtol(p, &end, 10);
        int empty = end == p;
        while (*end == ' ')
            end++;
        if (empty || id < -1 || id >= s->dims.n_vocab || (*end && *end != ','))
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "suppress_tokens is \"%.80s\"; it takes token ids from 0 to %d joined "
                             "by commas, -1 for the non-speech ones, or nothing",
                             text, (int)s->dims.n_vocab - 1);
        if (id == -1)
            expand = 1;
        else
            ids[n++] = (int32_t)id;
        if (!*end)
            break;
        p = end + 1;
    }
    if (expand && n_non_speech) {
        memcpy(ids + n, non_speech, n_non_speech * sizeof *ids);
        n += n_non_speech;
    }
    const cara_special_tokens *special = cara_tokenizer_special(s->tokenizer);
    const int32_t specials[] = {special->transcribe, special->translate, special->sot,
                                special->sot_prev,   special->sot_lm,    special->no_speech};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (specials[i] >= 0)
            ids[n++] = specials[i];
    qsort(ids, n, sizeof *ids, compare_ids);
    s->task.rules.suppress = ids;
    s->task.rules.n_suppress = n;
    return CARA_OK;
}

/* Seconds as plain decimals ("12", "3.25"), in any locale; -1 where *p holds something else. Moves
 * *p behind the number and the spaces around it. */
static double read_seconds(const char **p) {
    double value = 0, scale = 1;
    int digits = 0, point = 0;
    while (**p == ' ')
        ++*p;
    for (;; ++*p) {
        if (**p == '.' && !point) {
            point = 1;
        } else if (**p >= '0' && **p <= '9' && digits < 15) {
            value =
                10 * value + (**p - '0'); /* both stay exact below 2^53, so the ratio is right */
            scale *= point ? 10 : 1;
            digits++;
        } else {
            break;
        }
    }
    while (**p == ' ')
        ++*p;
    return digits ? value / scale : -1;
}

static int check_clips(cara_settings *s, cara_arena *arena, cara_error *err) {
    const char *text = s->options.clip_timestamps;
    if (!text || !*text)
        text = "0";
    size_t most = 1;
    for (const char *p = text; *p; p++)
        most += *p == ',';
    int64_t *clips = cara_arena_alloc(arena, most, sizeof *clips);
    if (!clips)
        return no_memory(err);
    size_t n = 0;
    for (const char *p = text;;) {
        double seconds = read_seconds(&p);
        if (seconds < 0 || seconds > CARA_LIMIT_AUDIO_SECONDS || (*p && *p != ','))
            return cara_fail(
                err, CARA_ERR_USAGE, -1,
                "clip_timestamps is \"%.80s\"; it takes start,end,start,... in seconds "
                "from 0 to %.0f, such as \"1.5,10\"",
                text, CARA_LIMIT_AUDIO_SECONDS);
        clips[n++] = (int64_t)rint(seconds * 100);
        if (!*p)
            break;
        p++;
    }
    s->clips = clips;
    s->n_clips = n;
    return CARA_OK;
}

/* Tokens of " " and the text without the spaces around it, in the arena. */
static int encode_text(const cara_settings *s, const char *name, const char *text,
                       cara_arena *arena, const int32_t **out, size_t *n_out, cara_error *err) {
    size_t n = strlen(text);
    if (n > CARA_LIMIT_PROMPT_BYTES)
        return cara_fail(err, CARA_ERR_USAGE, -1, "%s has %zu bytes; it takes %zu", name, n,
                         CARA_LIMIT_PROMPT_BYTES);
    if (!cara_utf8_valid(text, n))
        return cara_fail(err, CARA_ERR_USAGE, -1, "%s is not UTF-8", name);
    cara_slice stripped = cara_utf8_strip(text, n);
    char *spaced = cara_arena_printf(arena, " %.*s", (int)stripped.len, (const char *)stripped.ptr);
    if (!spaced)
        return no_memory(err);
    int32_t *ids = NULL;
    int rc = cara_tokenizer_encode(s->tokenizer, spaced, strlen(spaced), arena, &ids, n_out, err);
    *out = ids;
    return rc;
}

static int check_prompt(cara_settings *s, cara_arena *arena, cara_error *err) {
    const char *text = s->options.initial_prompt;
    s->has_prompt = text != NULL;
    return text ? encode_text(s, "initial_prompt", text, arena, &s->prompt, &s->n_prompt, err)
                : CARA_OK;
}

/* The prefix of _get_initial_tokens(). The longest prompt and as many new tokens fit beside it. */
static int check_prefix(cara_settings *s, cara_arena *arena, cara_error *err) {
    const char *text = s->options.prefix;
    cara_decode_task *task = &s->task;
    if (!text || !*text)
        return CARA_OK;
    int rc = encode_text(s, "prefix", text, arena, &task->prefix, &task->n_prefix, err);
    if (rc)
        return rc;
    /* prefix_tokens[-max_prefix_len:] of Python, where 0 keeps all, and less all but the first. */
    int64_t n = (int64_t)task->n_prefix, longest = task->n_text_ctx / 2 - task->sample_len;
    int64_t skip = longest > 0 ? n - longest : -longest;
    skip = skip < 0 ? 0 : skip > n ? n : skip;
    task->prefix += skip;
    task->n_prefix -= (size_t)skip;
    int64_t most =
        task->n_text_ctx / 2 - (int64_t)(sizeof task->sot_sequence / sizeof *task->sot_sequence);
    if ((int64_t)task->n_prefix > most)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "prefix has %zu tokens; this model takes %d beside a prompt",
                         task->n_prefix, (int)most);
    return CARA_OK;
}

static int check_previous(const cara_settings *s, cara_error *err) {
    const cara_options *o = &s->options;
    if (o->n_previous_tokens && !o->previous_tokens)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "previous_tokens is NULL, but their number is %zu", o->n_previous_tokens);
    for (size_t i = 0; i < o->n_previous_tokens; i++)
        if (o->previous_tokens[i] < 0 || o->previous_tokens[i] >= s->dims.n_vocab)
            return cara_fail(err, CARA_ERR_USAGE, -1,
                             "previous_tokens has %d; this model's tokens are 0 to %d",
                             (int)o->previous_tokens[i], (int)s->dims.n_vocab - 1);
    return CARA_OK;
}

int cara_settings_check(const cara_options *options, const cara_dims *dims,
                        const cara_tokenizer *tokenizer, const cara_kernels *kernels,
                        cara_arena *arena, cara_settings *out, cara_error *err) {
    *out = (cara_settings){.dims = *dims, .tokenizer = tokenizer};
    cara_options_default(&out->options, sizeof out->options);
    int rc = cara_sized_read(&out->options, sizeof out->options, options, "cara_options", err);
    if (rc)
        return rc;
    const cara_options *o = &out->options;
    const cara_special_tokens *special = cara_tokenizer_special(tokenizer);

    rc = check_numbers(out, err);
    if (!rc)
        rc = check_language(out, err);
    if (rc)
        return rc;

    if (isnan(o->patience))
        out->options.patience = 1;
    if (!o->prepend_punctuations)
        out->options.prepend_punctuations = PREPEND_PUNCTUATIONS;
    if (!o->append_punctuations)
        out->options.append_punctuations = APPEND_PUNCTUATIONS;

    cara_rules *rules = &out->task.rules;
    rules->kernels = kernels;
    rules->n_vocab = dims->n_vocab;
    rules->eot = special->eot;
    rules->no_timestamps = special->no_timestamps;
    rules->timestamp_begin = special->timestamp_begin;
    rules->suppress_blank = o->suppress_blank;
    rules->blank = cara_tokenizer_blank(tokenizer, &rules->n_blank);
    rules->repetition_penalty = o->repetition_penalty;
    rules->no_repeat_ngram_size = o->no_repeat_ngram_size;
    rules->timestamps = !o->without_timestamps;
    rules->max_initial_timestamp = -1;
    if (o->max_initial_timestamp > 0) /* 0 is no limit, as in the reference */
        rules->max_initial_timestamp =
            (int32_t)rint(o->max_initial_timestamp / (30.0 / dims->n_audio_ctx));
    out->task.tokenizer = tokenizer;
    out->task.n_text_ctx = dims->n_text_ctx;
    out->task.sample_len = o->sample_len ? o->sample_len : dims->n_text_ctx / 2;
    out->task.length_penalty = o->length_penalty;

    rc = check_suppress(out, arena, err);
    if (!rc)
        rc = check_clips(out, arena, err);
    if (!rc)
        rc = check_prompt(out, arena, err);
    if (!rc)
        rc = check_prefix(out, arena, err);
    if (!rc)
        rc = check_previous(out, err);
    if (!rc)
        cara_settings_language(out, out->language);
    return rc;
}

int64_t cara_settings_audio_ctx(const cara_settings *settings, int64_t n_frames) {
    int64_t full = settings->dims.n_audio_ctx, wanted = settings->options.audio_ctx;
    if (wanted == CARA_AUDIO_CTX_FULL)
        return full;
    int64_t stride = CARA_N_FRAMES / full, held = (n_frames + stride - 1) / stride;
    int64_t n = wanted == CARA_AUDIO_CTX_AUTO ? held + AUTO_MARGIN : held > wanted ? held : wanted;
    return n < full ? n : full;
}

void cara_settings_language(cara_settings *settings, int language) {
    const cara_special_tokens *special = cara_tokenizer_special(settings->tokenizer);
    cara_decode_task *task = &settings->task;
    size_t n = 0;
    settings->language = language;
    task->sot_sequence[n++] = special->sot;
    if (cara_tokenizer_is_multilingual(settings->tokenizer)) {
        task->sot_sequence[n++] = special->language_begin + (language < 0 ? 0 : language);
        task->sot_sequence[n++] =
            settings->options.task == CARA_TRANSLATE ? special->translate : special->transcribe;
    }
    if (settings->options.without_timestamps)
        task->sot_sequence[n++] = special->no_timestamps;
    task->n_sot_sequence = n;
}
