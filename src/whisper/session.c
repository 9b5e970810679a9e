/* The public session: what a model needs in memory to hear, kept between audios. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/threads.h"
#include "tokenizer/language.h"
#include "whisper/compute.h"
#include "whisper/decoder.h"
#include "whisper/decoding.h"
#include "whisper/draft.h"
#include "whisper/encoder.h"
#include "whisper/mel.h"
#include "whisper/quantise.h"
#include "whisper/settings.h"
#include "whisper/transcribe.h"

#include <caracola/transcribe.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cara_session {
    cara_compute compute;
    cara_cpu_level level;
    cara_quantised *quantised; /* or NULL */
    cara_mel_tables *tables;
    cara_encoder *encoder;
    cara_draft *draft;     /* or NULL */
    cara_decoder *decoder; /* made at the first window; again where more slots are wanted */
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
    int decoder_ready;                /* the decoder was given these states */
    cara_timings timings;
    size_t drafted, drafted_right;
} job;

static int stop_asked(const job *j) {
    const cara_options *o = &j->settings.options;
    return o->progress ? o->progress(o->cookie, j->done, j->total) : 0;
}

/* What the numerics poll; the cookie is the session. */
static int poll(void *cookie) {
    const cara_session *s = cookie;
    return s->job ? stop_asked(s->job) : 0;
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
    j->decoder_ready = 0;

    double start = cara_clock_monotonic(), audio_before = j->timings.audio_s;
    int rc = cara_mel_stream_window(j->stream, seek, n_frames, s->mel, err);
    add_mel_time(j, start, audio_before);
    if (rc)
        return rc;
    start = cara_clock_monotonic();
    j->audio_ctx = (size_t)cara_settings_audio_ctx(&j->settings, n_frames);
    cara_encoder_use_ctx(s->encoder, j->audio_ctx);
    if (s->draft)
        cara_draft_hear(s->draft, s->mel, j->audio_ctx, &j->settings.task.rules);
    rc = cara_encoder_run(s->encoder, s->mel, s->states, err);
    j->timings.encode_s += cara_clock_monotonic() - start;
    if (rc)
        return rc;
    j->window_seek = seek;
    j->window_size = n_frames;
    return CARA_OK;
}

/* A decoder with enough slots that knows the window at hand. */
static int ready_decoder(job *j, const cara_attempt *attempt, cara_error *err) {
    cara_session *s = j->session;
    int rc = CARA_OK;
    if (!s->decoder || s->decoder_slots < attempt->candidates) {
        cara_decoder_free(s->decoder);
        s->decoder = NULL;
        rc = cara_decoder_new(&s->compute, 1, attempt->candidates, &s->decoder, err);
        if (rc)
            return rc;
        s->decoder_slots = attempt->candidates;
        j->decoder_ready = 0;
    }
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
    if (!j->decoder_ready) {
        cara_decoder_use_audio_ctx(s->decoder, 0, j->audio_ctx);
        rc = cara_decoder_set_audio(s->decoder, 0, s->states, err);
        if (rc)
            return rc;
        j->decoder_ready = 1;
    }
    return CARA_OK;
}

static void decoder_start(void *ctx, int slot) {
    cara_decoder_start(ctx, slot, 0);
}

static void decoder_truncate(void *ctx, int slot, size_t length) {
    cara_decoder_truncate(ctx, slot, length);
}

static void decoder_fork(void *ctx, int from, int first, int n) {
    cara_decoder_fork(ctx, from, first, n);
}

static void decoder_reorder(void *ctx, int first, const int *source, int n) {
    cara_decoder_reorder(ctx, first, source, n);
}

static int decoder_forward(void *ctx, const cara_run *runs, size_t n_runs, const size_t *wanted,
                           size_t n_wanted, float *logits, cara_error *err) {
    return cara_decoder_forward(ctx, runs, n_runs, wanted, n_wanted, logits, err);
}

static cara_inference inference_of(cara_session *s) {
    return (cara_inference){decoder_start,   decoder_truncate, decoder_fork,
                            decoder_reorder, decoder_forward,  s->decoder};
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
        cara_inference inference = inference_of(j->session);
        rc = cara_decode(&j->settings.task, &own, &inference, &j->random, j->session->logits, arena,
                         out, err);
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
        cara_inference inference = inference_of(j->session);
        rc = cara_detect_language(j->settings.tokenizer, &inference, j->session->logits, &language,
                                  probability, err);
    }
    j->timings.decode_s += cara_clock_monotonic() - start;
    if (!rc)
        cara_settings_language(&j->settings, language);
    return rc;
}

static int open_stream(job *j, cara_error *err) {
    cara_pcm_source timed = {timed_read, timed_rewind, j};
    double start = cara_clock_monotonic();
    int rc =
        cara_mel_stream_open(j->session->tables, timed, j->session->compute.pool, &j->stream, err);
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
    const cara_model *model = session->compute.model;
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
                                 &arena, &j.settings, &failure);
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

static int choose_type(cara_session *s, const char *type, cara_error *err) {
    int has_i8 = cara_weights_have_i8(s->compute.model);
    if (!type || !*type || !strcmp(type, "default"))
        return CARA_OK;
    if (!strcmp(type, "int8")) {
        int rc = cara_quantise(&s->compute, &s->quantised, err);
        if (!rc)
            s->compute.weights = cara_quantised_weights(s->quantised);
        return rc;
    }
    if (strcmp(type, "float32") != 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "compute_type is '%s'; expected default, float32 or int8", type);
    if (has_i8)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "compute_type is float32, but the model's weights are int8; use a model "
                         "with float weights, or compute_type default");
    return CARA_OK;
}

int cara_session_new(const cara_model *model, const cara_session_options *options,
                     cara_session **out, cara_error *err) {
    *out = NULL;
    int threads = options ? options->threads : 0;
    int draft_tokens = options ? options->draft_tokens : 0;
    const char *level = options ? options->cpu_level : NULL;
    if (threads < 0 || threads > CARA_LIMIT_THREADS)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "threads is %d; it takes 1 to %d, or 0 for all there are", threads,
                         CARA_LIMIT_THREADS);
    if (draft_tokens < 0 || draft_tokens > CARA_MAX_GUESSES)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "draft_tokens is %d; it takes 1 to %d, or 0 for as many as seem to pay",
                         draft_tokens, CARA_MAX_GUESSES);
    if (!cara_model_tokenizer(model))
        return cara_fail(err, CARA_ERR_VOCAB, -1,
                         "This model was opened without its vocabulary, so it cannot transcribe");
    if (!level)
        level = getenv("CARACOLA_CPU");
    if (level && !*level)
        level = NULL;

    cara_session *s = calloc(1, sizeof *s);
    if (!s)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for a session");
    int rc = cara_cpu_pick(level, &s->level, err);
    if (rc)
        goto fail;
    if (!threads)
        threads = cara_threads_available();
    if (threads > CARA_LIMIT_THREADS)
        threads = CARA_LIMIT_THREADS;
    const cara_dims *dims = cara_model_dims(model);
    s->compute = (cara_compute){
        .model = model, .kernels = cara_kernels_for(s->level), .poll = poll, .cookie = s};
    s->compute.pool = cara_pool_new(threads);
    s->mel = floats((size_t)dims->n_mels, CARA_N_FRAMES);
    s->states = floats((size_t)dims->n_audio_ctx, (size_t)dims->n_audio_state);
    cara_model_read_ahead(model);
    if (!s->compute.pool || !s->mel || !s->states) {
        rc =
            cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for a session with %d threads", threads);
        goto fail;
    }
    rc = choose_type(s, options ? options->compute_type : NULL, err);
    if (!rc)
        rc = cara_mel_tables_new(dims->n_mels, &s->tables, err);
    if (!rc)
        rc = cara_encoder_new(&s->compute, &s->encoder, err);
    if (!rc && options && options->draft_model)
        rc = cara_draft_new(options->draft_model, &s->compute, s->quantised != NULL, draft_tokens,
                            &s->draft, err);
    if (rc)
        goto fail;
    *out = s;
    return CARA_OK;
fail:
    cara_session_free(s);
    return rc;
}

const char *cara_session_cpu_level(const cara_session *session) {
    return cara_cpu_level_name(session->level);
}

void cara_session_free(cara_session *s) {
    if (!s)
        return;
    cara_draft_free(s->draft);
    cara_decoder_free(s->decoder);
    cara_encoder_free(s->encoder);
    cara_quantised_free(s->quantised);
    cara_mel_tables_free(s->tables);
    cara_pool_free(s->compute.pool);
    free(s->mel);
    free(s->states);
    free(s->logits);
    free(s);
}
