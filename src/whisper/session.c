/* The public session: what a model needs in memory to hear, kept between audios. */
#include "base/clock.h"
#include "base/limits.h"
#include "tokenizer/language.h"
#include "whisper/backend/shared.h"
#include "whisper/decoding/decoding.h"
#include "whisper/decoding/draft.h"
#include "whisper/decoding/settings.h"
#include "whisper/decoding/transcribe.h"

#include <caracola/transcribe.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cara_session {
    cara_shared *shared;
    int index;         /* of shared->n: its audio in the common decoder */
    cara_draft *draft; /* or NULL; it shares nothing then */
    /* Its own, where it shares none or wants more candidates than that has slots for; made at the
     * first window, and again where more slots are wanted. */
    cara_decoder *decoder;
    int decoder_slots;
    float *mel;    /* [n_mels, CARA_N_FRAMES], the window */
    float *states; /* [n_audio_ctx, n_audio_state], what the encoder made of it */
    float *logits; /* [logit_rows, n_vocab] */
    size_t logit_rows;
    struct job *job; /* the one running, for poll() */
};

/* One call of cara_transcribe(). */
typedef struct job {
    cara_session *session;
    cara_settings settings;
    cara_mel_stream *stream;
    cara_pcm_source source; /* the caller's */
    cara_random random;
    int64_t total, done;              /* mel frames */
    int64_t window_seek, window_size; /* whose states the session holds; size -1: none */
    size_t audio_ctx;                 /* positions of its states */
    cara_decoder *decoder;            /* of the attempt at hand */
    int audio, slot;                  /* in it: the session's audio and the first of its slots */
    const cara_decoder *ready;        /* the decoder that was given these states last, or NULL */
    cara_timings timings;
    size_t drafted, drafted_right;
} job;

static int stop_asked(const job *j) {
    const cara_options *o = &j->settings.options;
    return o->progress ? o->progress(o->cookie, j->done, j->total) : 0;
}

/* What the numerics poll. */
static int poll(void *cookie) {
    const cara_shared *shared = cookie;
    const cara_session *s = shared->current;
    return s && s->job ? stop_asked(s->job) : 0;
}

/* Hours of audio are read before the first window: that can be stopped, too. */
static int64_t timed_read(void *ctx, float *dst, size_t n, cara_error *err) {
    job *j = ctx;
    if (stop_asked(j))
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "Stopped by the progress callback");
    double start = cara_clock_monotonic();
    int64_t got = j->source.read(j->source.ctx, dst, n, err);
    j->timings.audio_s += cara_clock_monotonic() - start;
    return got;
}

static int timed_rewind(void *ctx, cara_error *err) {
    job *j = ctx;
    double start = cara_clock_monotonic();
    int rc = j->source.rewind(j->source.ctx, err);
    j->timings.audio_s += cara_clock_monotonic() - start;
    return rc;
}

/* Adds the time since `start` to *total, less what of it went into reading the audio. */
static void add_mel_time(job *j, double start, double audio_before) {
    j->timings.mel_s += cara_clock_monotonic() - start - (j->timings.audio_s - audio_before);
}

static int turn_to(void *ctx, int64_t seek, int64_t n_frames, cara_error *err) {
    job *j = ctx;
    cara_session *s = j->session;
    j->done = seek < j->total ? seek : j->total;
    if (j->window_size == n_frames && j->window_seek == seek)
        return CARA_OK; /* heard already, for its language */
    j->window_size = -1;
    j->ready = NULL;

    double start = cara_clock_monotonic(), audio_before = j->timings.audio_s;
    int rc = cara_mel_stream_window(j->stream, seek, n_frames, s->mel, err);
    add_mel_time(j, start, audio_before);
    if (rc)
        return rc;
    start = cara_clock_monotonic();
    j->audio_ctx = (size_t)cara_settings_audio_ctx(&j->settings, n_frames);
    if (s->draft)
        cara_draft_hear(s->draft, s->mel, j->audio_ctx, &j->settings.task.rules);
    cara_shared_enter(s->shared, s);
    cara_encoder_use_ctx(s->shared->encoder, j->audio_ctx);
    rc = cara_encoder_run(s->shared->encoder, s->mel, s->states, err);
    cara_shared_leave(s->shared);
    j->timings.encode_s += cara_clock_monotonic() - start;
    if (rc)
        return rc;
    j->window_seek = seek;
    j->window_size = n_frames;
    return CARA_OK;
}

/* A decoder with enough slots: the common one, or the session's own. While the session computes. */
static int choose_decoder(job *j, int candidates, cara_error *err) {
    cara_session *s = j->session;
    if (s->shared->n > 1 && candidates <= CARA_SHARED_SLOTS) {
        int rc = cara_shared_decoder(s->shared, err);
        j->decoder = s->shared->decoder;
        j->audio = s->index;
        j->slot = s->index * CARA_SHARED_SLOTS;
        return rc;
    }
    if (!s->decoder || s->decoder_slots < candidates) {
        cara_decoder_free(s->decoder);
        s->decoder = NULL;
        j->ready = NULL;
        int rc = cara_decoder_new(&s->shared->compute, 1, candidates, &s->decoder, err);
        if (rc)
            return rc;
        s->decoder_slots = candidates;
    }
    j->decoder = s->decoder;
    j->audio = j->slot = 0;
    return CARA_OK;
}

/* A decoder that knows the window at hand, and room for its logits. */
static int ready_decoder(job *j, const cara_attempt *attempt, cara_error *err) {
    cara_session *s = j->session;
    size_t logit_rows = cara_decode_logit_rows(attempt);
    if (s->logit_rows < logit_rows) {
        size_t n = logit_rows * (size_t)j->settings.dims.n_vocab;
        float *logits = realloc(s->logits, n * sizeof *logits);
        if (!logits)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the logits of %d candidates",
                             attempt->candidates);
        s->logits = logits;
        s->logit_rows = logit_rows;
    }
    cara_shared_enter(s->shared, s);
    int rc = choose_decoder(j, attempt->candidates, err);
    if (!rc && j->ready != j->decoder) {
        j->ready = NULL;
        cara_decoder_use_audio_ctx(j->decoder, j->audio, j->audio_ctx);
        rc = cara_decoder_set_audio(j->decoder, j->audio, s->states, err);
        if (!rc)
            j->ready = j->decoder;
    }
    cara_shared_leave(s->shared);
    return rc;
}

/* ---- the decoder as decoding.h wants it; slots are counted from the session's first ---- */

static void decoder_start(void *ctx, int slot) {
    const job *j = ctx;
    cara_shared_enter(j->session->shared, j->session);
    cara_decoder_start(j->decoder, j->slot + slot, j->audio);
    cara_shared_leave(j->session->shared);
}

static void decoder_truncate(void *ctx, int slot, size_t length) {
    const job *j = ctx;
    cara_shared_enter(j->session->shared, j->session);
    cara_decoder_truncate(j->decoder, j->slot + slot, length);
    cara_shared_leave(j->session->shared);
}

static void decoder_fork(void *ctx, int from, int first, int n) {
    const job *j = ctx;
    if (n == 1 && from == first)
        return;
    cara_shared_enter(j->session->shared, j->session);
    cara_decoder_fork(j->decoder, j->slot + from, j->slot + first, n);
    cara_shared_leave(j->session->shared);
}

static void decoder_reorder(void *ctx, int first, const int *source, int n) {
    const job *j = ctx;
    cara_shared_enter(j->session->shared, j->session);
    cara_decoder_reorder(j->decoder, j->slot + first, source, n);
    cara_shared_leave(j->session->shared);
}

static int decoder_forward(void *ctx, const cara_run *runs, size_t n_runs, const size_t *wanted,
                           size_t n_wanted, float *logits, cara_error *err) {
    const job *j = ctx;
    cara_shared *shared = j->session->shared;
    cara_run own[CARA_MAX_CANDIDATES];
    if (n_runs > CARA_MAX_CANDIDATES)
        return cara_fail(err, CARA_ERR_INTERNAL, -1, "A window cannot have %zu runs", n_runs);
    for (size_t i = 0; i < n_runs; i++)
        own[i] = (cara_run){j->slot + runs[i].slot, runs[i].tokens, runs[i].n};
    if (j->decoder == shared->decoder) {
        if (stop_asked(j))
            return cara_fail(err, CARA_ERR_CANCELLED, -1, "Stopped by the progress callback");
        return cara_passes_forward(shared->passes, j->decoder, own, n_runs, wanted, n_wanted,
                                   logits, (size_t)j->settings.dims.n_vocab, err);
    }
    cara_shared_enter(shared, j->session);
    int rc = cara_decoder_forward(j->decoder, own, n_runs, wanted, n_wanted, logits, err);
    cara_shared_leave(shared);
    return rc;
}

static cara_inference inference_of(job *j) {
    return (cara_inference){decoder_start,   decoder_truncate, decoder_fork,
                            decoder_reorder, decoder_forward,  j};
}

static int decode(void *ctx, const cara_attempt *attempt, cara_arena *arena, cara_decoding *out,
                  cara_error *err) {
    job *j = ctx;
    cara_draft *draft = attempt->temperature > 0 ? NULL : j->session->draft;
    cara_attempt own = *attempt;
    cara_guesser guesser;
    if (draft) {
        guesser = cara_draft_guesser(draft);
        own.guesser = &guesser;
    }
    double start = cara_clock_monotonic();
    int rc = ready_decoder(j, &own, err);
    if (!rc) {
        cara_inference inference = inference_of(j);
        cara_passes_join(j->session->shared->passes);
        rc = cara_decode(&j->settings.task, &own, &inference, &j->random, j->session->logits, arena,
                         out, err);
        cara_passes_part(j->session->shared->passes);
    }
    double took = cara_clock_monotonic() - start, in_draft = draft ? cara_draft_seconds(draft) : 0;
    j->timings.decode_s += took - in_draft;
    j->timings.draft_s += in_draft;
    if (!rc) {
        j->drafted += out->n_guessed;
        j->drafted_right += out->n_guessed_right;
    }
    return rc;
}

static int progress(void *ctx, int64_t done, cara_error *err) {
    job *j = ctx;
    j->done = done < j->total ? done : j->total;
    if (stop_asked(j))
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "Stopped by the progress callback");
    return CARA_OK;
}

/* The language of the first 30 s, the silence after them included (transcribe() detects on the
 * padded audio, but decodes windows that hold zeros there). */
static int detect(job *j, double *probability, cara_error *err) {
    int language = 0;
    /* A cut window is cut for this, too: it is the one to be decoded, and heard but once. */
    int is_cut = j->settings.options.audio_ctx != CARA_AUDIO_CTX_FULL && j->total < CARA_N_FRAMES;
    int rc = turn_to(j, 0, is_cut ? j->total : CARA_N_FRAMES, err);
    double start = cara_clock_monotonic();
    if (!rc)
        rc = ready_decoder(j, &(cara_attempt){.candidates = 1}, err);
    if (!rc) {
        cara_inference inference = inference_of(j);
        cara_passes_join(j->session->shared->passes);
        rc = cara_detect_language(j->settings.tokenizer, j->settings.task.rules.kernels, &inference,
                                  j->session->logits, &language, probability, err);
        cara_passes_part(j->session->shared->passes);
    }
    j->timings.decode_s += cara_clock_monotonic() - start;
    if (!rc)
        cara_settings_language(&j->settings, language);
    return rc;
}

static int open_stream(job *j, cara_error *err) {
    cara_pcm_source timed = {timed_read, timed_rewind, j};
    double start = cara_clock_monotonic();
    const cara_shared *shared = j->session->shared;
    /* The pool is for one session at a time: several make their own mel each. */
    int rc = cara_mel_stream_open(shared->tables, timed,
                                  shared->n > 1 ? NULL : shared->compute.pool, &j->stream, err);
    add_mel_time(j, start, 0);
    if (!rc)
        j->total = cara_mel_stream_content_frames(j->stream);
    return rc;
}

static int run(job *j, cara_result_owner *owner, cara_error *err) {
    cara_result *result = &owner->result;
    int rc = open_stream(j, err);
    if (rc == CARA_ERR_CANCELLED) {
        result->cut_short = result->no_speech = 1;
        return CARA_OK;
    }
    if (rc)
        return rc;
    result->duration_s = (double)cara_mel_stream_samples(j->stream) / CARA_SAMPLE_RATE;
    if (j->settings.language < 0) {
        rc = detect(j, &result->language_probability, err);
        if (rc == CARA_ERR_CANCELLED) {
            result->cut_short = result->no_speech = 1;
            return CARA_OK;
        }
        if (rc)
            return rc;
    }
    result->language = cara_language_code(j->settings.language);
    cara_listener listener = {turn_to, decode, progress, j};
    return cara_listen(&j->settings, j->total, &listener, owner, err);
}

int cara_transcribe(cara_session *session, cara_pcm_source source, const cara_options *options,
                    cara_result **out, cara_error *err) {
    *out = NULL;
    double start = cara_clock_monotonic();
    const cara_model *model = session->shared->compute.model;
    cara_error failure; /* so that the caller's stays as it is when the work is merely stopped */
    cara_arena arena;
    cara_arena_init(&arena, CARA_LIMIT_RESULT_BYTES);
    job j = {.session = session, .source = source, .window_size = -1};
    int rc = CARA_OK;
    cara_result_owner *owner = cara_result_new(CARA_LIMIT_RESULT_BYTES);
    if (!owner)
        rc = cara_fail(&failure, CARA_ERR_MEMORY, -1, "No memory for a result");
    if (!rc)
        rc = cara_settings_check(options, cara_model_dims(model), cara_model_tokenizer(model),
                                 session->shared->compute.kernels, &arena, &j.settings, &failure);
    if (!rc) {
        cara_random_seed(&j.random, j.settings.options.seed);
        session->job = &j;
        rc = run(&j, owner, &failure);
        session->job = NULL;
    }
    cara_mel_stream_close(j.stream);
    cara_arena_free(&arena);
    if (rc) {
        if (err)
            *err = failure;
        cara_result_free(owner ? &owner->result : NULL);
        return rc;
    }
    j.timings.total_s = cara_clock_monotonic() - start;
    owner->result.timings = j.timings;
    owner->result.drafted = j.drafted;
    owner->result.drafted_right = j.drafted_right;
    *out = &owner->result;
    return CARA_OK;
}

/* n floats, cache line by cache line; NULL where there is no memory. */
static float *floats(size_t a, size_t b) {
    void *p = NULL;
    if (b && a > SIZE_MAX / sizeof(float) / b)
        return NULL;
    return posix_memalign(&p, 64, a * b * sizeof(float)) ? NULL : p;
}

/* All but what they share. NULL where there is no memory. */
static cara_session *new_session(cara_shared *shared, int index) {
    const cara_dims *dims = cara_model_dims(shared->compute.model);
    cara_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->index = index;
    if (shared->n == 1)
        shared->current = s;
    s->mel = floats((size_t)dims->n_mels, CARA_N_FRAMES);
    s->states = floats((size_t)dims->n_audio_ctx, (size_t)dims->n_audio_state);
    if (s->mel && s->states) {
        s->shared = shared;
        return s;
    }
    cara_session_free(s);
    return NULL;
}

int cara_sessions_new(const cara_model *model, const cara_session_options *options, int n,
                      cara_session **out, cara_error *err) {
    if (n < 1 || n > CARA_MAX_SESSIONS)
        return cara_fail(err, CARA_ERR_USAGE, -1, "there can be 1 to %d sessions together, not %d",
                         CARA_MAX_SESSIONS, n);
    memset(out, 0, (size_t)n * sizeof *out);
    const cara_model *draft = options ? options->draft_model : NULL;
    int draft_tokens = options ? options->draft_tokens : 0;
    if (draft_tokens < 0 || draft_tokens > CARA_MAX_GUESSES)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "draft_tokens is %d; it takes 1 to %d, or 0 for as many as seem to pay",
                         draft_tokens, CARA_MAX_GUESSES);
    if (draft && n > 1)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a draft model helps one session alone; %d share their passes already, "
                         "so take one or the other",
                         n);
    cara_shared *shared;
    int rc = cara_shared_new(model, options, n, poll, &shared, err);
    if (rc)
        return rc;
    int made = 0;
    while (made < n && (out[made] = new_session(shared, made)))
        made++;
    if (made == n && draft)
        rc = cara_draft_new(draft, &shared->compute, shared->quantised != NULL, draft_tokens,
                            &out[0]->draft, err);
    else if (made < n)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for %d sessions", n);
    if (!rc)
        return CARA_OK;
    for (int i = made; i < n; i++)
        cara_shared_release(shared);
    while (made > 0) {
        cara_session_free(out[--made]);
        out[made] = NULL;
    }
    return rc;
}

int cara_session_new(const cara_model *model, const cara_session_options *options,
                     cara_session **out, cara_error *err) {
    return cara_sessions_new(model, options, 1, out, err);
}

const char *cara_session_cpu_level(const cara_session *session) {
    return cara_cpu_level_name(session->shared->level);
}

void cara_session_free(cara_session *s) {
    if (!s)
        return;
    cara_draft_free(s->draft);
    cara_decoder_free(s->decoder);
    cara_shared_release(s->shared);
    free(s->mel);
    free(s->states);
    free(s->logits);
    free(s);
}
