/* A backend that plays scripted windows, and cara_transcribe() over it. */
#ifndef TESTS_WHISPER_SCRIPTED_BACKEND_H
#define TESTS_WHISPER_SCRIPTED_BACKEND_H

#include "tokenizer/language.h"
#include "whisper/session.h"

#include "vocabulary.h"

#include <math.h>

/* Timestamps by hundredths of a second; one-byte tokens of a, b, c, ~, space, and the halves of n
 * with a tilde. */
#define T(hundredths) (50364 + (hundredths) / 2)
enum { A = 64, B = 65, C = 66, TILDE = 93, SPACE = 220, N_1 = 127, N_2 = 109, END = -1 };
enum { N_VOCAB = 51865, EOT = 50257, SOT = 50258, SOT_PREV = 50361, NO_SPEECH = 50362 };

static cara_tokenizer *tokenizer;
static cara_mel_tables *mel_tables;
static cara_dims dims;
static float *silence; /* [MOST_FRAMES * CARA_HOP_LENGTH] */
enum { MOST_FRAMES = 5000 };

static int open_all(void **state) {
    (void)state;
    tokenizer = open_vocabulary(N_VOCAB);
    dims = dims_of_test(N_VOCAB);
    silence = calloc((size_t)MOST_FRAMES * CARA_HOP_LENGTH, sizeof *silence);
    return silence ? cara_mel_tables_new(dims.n_mels, &mel_tables, NULL) : -1;
}

static int close_all(void **state) {
    (void)state;
    cara_tokenizer_free(tokenizer);
    cara_mel_tables_free(mel_tables);
    free(silence);
    return 0;
}

/* What a window's decoding gives. */
typedef struct window_script {
    int32_t tokens[64]; /* ends with END */
    double avg_logprob; /* of each token, and so of all */
    double no_speech_prob;
    int cancel; /* this call is stopped instead */
} window_script;

/* A backend that plays a script, one entry for each call of cara_decode(). */
typedef struct fake {
    cara_backend backend;
    cara_backend_stop stop;
    const window_script *script;
    size_t n_script;
    size_t n_encoded, n_decoded;
    struct {
        int64_t seek, size;
    } encoded[32];
    struct {
        int candidates;
        int32_t prompt[512];
        size_t n_prompt;
        int32_t language; /* the token */
    } asked[32];
    int is_prompt;    /* the next forward() is the first of its window */
    size_t step;      /* tokens of the window that were chosen */
    size_t languages; /* times that the language was asked for */
    /* What each of these times gives: a language with this probability, French with the rest. NULL:
     * always Spanish. */
    const struct detected {
        const char *code;
        double probability;
    } * detected;
    int64_t done; /* what the progress callback was given last */
    int64_t progress[32];
    size_t n_reported, n_progress;
    size_t stop_at;     /* which report between windows stops; 0: none */
    char committed[64]; /* ids of the segments given to on_segment */
} fake;

static void fake_set_stop(cara_backend *b, cara_backend_stop stop) {
    ((fake *)b)->stop = stop;
}

/* Frames that hold audio: silence is not zero in the mel, what is padded is. */
static int64_t frames_of(const float *mel) {
    int64_t n = 0;
    while (n < CARA_N_FRAMES && mel[n] != 0)
        n++;
    for (int64_t i = n; i < CARA_N_FRAMES; i++)
        assert_true(mel[i] == 0);
    return n;
}

static int fake_encode_window(cara_backend *b, int audio, const float *mel, size_t audio_ctx,
                              cara_error *err) {
    fake *f = (fake *)b;
    (void)err;
    assert_int_equal(audio, 0);
    assert_int_equal(audio_ctx, 1500);
    assert_true(f->n_encoded < 32);
    assert_int_equal(f->stop.fn(f->stop.cookie), 0); /* sets `done`, which is the window's seek */
    f->encoded[f->n_encoded].seek = f->done;
    f->encoded[f->n_encoded++].size = frames_of(mel);
    return CARA_OK;
}

static int fake_reserve_slots(cara_backend *b, int first, int n, cara_error *err) {
    (void)b, (void)err;
    assert_int_equal(first, 0);
    assert_true(n >= 1);
    return CARA_OK;
}

static void fake_start(cara_backend *b, int slot, int audio) {
    assert_int_equal(slot, 0);
    assert_int_equal(audio, 0);
    ((fake *)b)->is_prompt = 1;
}

static void fake_finish(cara_backend *b, int slot) {
    (void)b;
    assert_int_equal(slot, 0);
}

static void fake_fork(cara_backend *b, int from, int first, int n) {
    fake *f = (fake *)b;
    assert_int_equal(from, 0);
    assert_int_equal(first, 0);
    f->asked[f->n_decoded - 1].candidates = n;
}

/* `token` with this probability, the rest spread evenly. */
static void fill_logits(float *logits, int32_t token, double probability) {
    float other = (float)log((1 - probability) / (N_VOCAB - 1));
    for (int i = 0; i < N_VOCAB; i++)
        logits[i] = other;
    logits[token] = (float)log(probability);
}

/* The prompt without its special tokens. */
static void keep_prompt(fake *f, const cara_run *run) {
    size_t sot = 0;
    while (run->tokens[sot] != SOT)
        sot++;
    f->asked[f->n_decoded].candidates = 1;
    f->asked[f->n_decoded].language = run->tokens[sot + 1];
    f->asked[f->n_decoded].n_prompt = sot ? sot - 1 : 0;
    assert_true(sot <= 512);
    assert_true(!sot || run->tokens[0] == SOT_PREV);
    if (sot)
        memcpy(f->asked[f->n_decoded].prompt, run->tokens + 1, (sot - 1) * sizeof *run->tokens);
}

static int fake_forward(cara_backend *b, const cara_run *runs, size_t n_runs, const size_t *wanted,
                        size_t n_wanted, float *logits, cara_error *err) {
    fake *f = (fake *)b;
    (void)wanted;
    if (f->is_prompt && runs[0].n == 1) {
        const struct detected *d = f->detected ? &f->detected[f->languages] : NULL;
        f->languages++;
        fill_logits(logits, SOT + 1 + cara_language_find(d ? d->code : "es"),
                    d ? d->probability : 0.75);
        for (int i = 0; d && i < 99; i++)
            if (i != cara_language_find(d->code))
                logits[SOT + 1 + i] = -INFINITY;
        if (d)
            logits[SOT + 1 + cara_language_find("fr")] = (float)log(1 - d->probability);
        return CARA_OK;
    }
    if (f->is_prompt) {
        if (f->n_decoded >= f->n_script)
            fail_msg("more windows than the script has");
        keep_prompt(f, runs);
        f->n_decoded++;
        f->step = 0;
    }
    const window_script *s = &f->script[f->n_decoded - 1];
    if (s->cancel)
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped");
    if (f->is_prompt) {
        assert_int_equal(n_runs, 1);
        assert_int_equal(n_wanted, 2);
        fill_logits(logits, NO_SPEECH, s->no_speech_prob);
    }
    int32_t next = s->tokens[f->step++];
    for (size_t i = f->is_prompt; i < n_wanted; i++)
        fill_logits(logits + i * N_VOCAB, next == END ? EOT : next, exp(s->avg_logprob));
    f->is_prompt = 0;
    return CARA_OK;
}

static const cara_backend_ops fake_ops = {.set_stop = fake_set_stop,
                                          .encode_window = fake_encode_window,
                                          .reserve_slots = fake_reserve_slots,
                                          .start = fake_start,
                                          .finish = fake_finish,
                                          .fork = fake_fork,
                                          .forward = fake_forward};

/* Counts the first call behind each decoding as the report of progress between windows. */
static int on_progress(void *cookie, int64_t done, int64_t total) {
    fake *f = cookie;
    (void)total;
    f->done = done;
    if (f->n_reported == f->n_decoded)
        return 0;
    f->n_reported = f->n_decoded;
    f->progress[f->n_progress++] = done;
    return f->n_progress == f->stop_at;
}

static void on_segment(void *cookie, const cara_segment *segment) {
    fake *f = cookie;
    size_t n = strlen(f->committed);
    f->committed[n] = (char)('0' + segment->id);
}

/* A session over the fake; its mel and its logits are the caller's. */
static cara_session session_over(fake *f) {
    cara_session session = {.dims = &dims,
                            .tokenizer = tokenizer,
                            .kernels = cara_kernels_for(CARA_CPU_SCALAR),
                            .mel_tables = mel_tables,
                            .backend = &f->backend,
                            .mel = malloc(sizeof(float) * 80 * CARA_N_FRAMES),
                            .result_limit = 1 << 20};
    assert_non_null(session.mel);
    return session;
}

static int transcribe_within(fake *f, cara_options *options, int64_t content_frames,
                             size_t result_limit, cara_result **out) {
    assert_true(content_frames <= MOST_FRAMES);
    f->backend.ops = &fake_ops;
    cara_session session = session_over(f);
    session.result_limit = result_limit;
    /* No rules, so that the script alone decides. */
    options->without_timestamps = 1;
    options->suppress_tokens = "";
    options->suppress_blank = 0;
    options->progress = on_progress;
    options->on_segment = on_segment;
    options->cookie = f;
    cara_pcm_memory pcm = {.pcm = silence, .n = (size_t)content_frames * CARA_HOP_LENGTH};
    int rc = cara_transcribe(&session, cara_pcm_memory_source(&pcm), options, out, NULL);
    assert_null(f->stop.fn);
    free(session.mel);
    free(session.logits);
    return rc;
}

#endif
