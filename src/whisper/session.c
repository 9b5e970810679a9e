/* The lifecycle of the public sessions: made alone or several together, freed one by one. */
#include "whisper/session.h"

#include "base/limits.h"
#include "base/sized.h"
#include "whisper/backend/cpu.h"
#include "whisper/backend/passes.h"
#include "whisper/decoding/decoding.h"
#include "whisper/network/quantise.h"

#include <stdlib.h>
#include <string.h>

struct cara_session_group {
    int n_left; /* sessions that are not freed */
    cara_cpu_level level;
    cara_pool *pool;
    cara_mel_tables *mel_tables;
    cara_backend *backend; /* of a session alone, else NULL */
    cara_passes *passes;   /* of several, else NULL */
};

static void free_group(cara_session_group *g) {
    cara_passes_free(g->passes);
    cara_backend_free(g->backend);
    cara_mel_tables_free(g->mel_tables);
    cara_pool_free(g->pool);
    free(g);
}

/* 1 where float weights are to be quantised. */
static int check_compute_type(const cara_model *model, const char *type, int *quantise,
                              cara_error *err) {
    *quantise = 0;
    if (!type || !*type || !strcmp(type, "default"))
        return CARA_OK;
    if (!strcmp(type, "int8")) {
        *quantise = 1;
        return CARA_OK;
    }
    if (strcmp(type, "float32") != 0)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "compute_type is '%s'; expected default, float32 or int8", type);
    if (cara_weights_have_i8(model))
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "compute_type is float32, but the model's weights are int8; use a model "
                         "with float weights, or compute_type default");
    return CARA_OK;
}

static int check_options(const cara_model *model, const cara_session_options *o, int n,
                         int *quantise, cara_error *err) {
    if (n < 1 || n > CARA_MAX_SESSIONS)
        return cara_fail(err, CARA_ERR_USAGE, -1, "there can be 1 to %d sessions together, not %d",
                         CARA_MAX_SESSIONS, n);
    if (o->draft_tokens < 0 || o->draft_tokens > CARA_MAX_DRAFT_TOKENS)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "draft_tokens is %d; it takes 1 to %d, or 0 to choose their number by "
                         "how many are accepted",
                         o->draft_tokens, CARA_MAX_DRAFT_TOKENS);
    if (o->draft_model && n > 1)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "a draft model works with one session alone; %d sessions share their "
                         "passes already, so use one or the other",
                         n);
    if (o->threads < 0 || o->threads > CARA_LIMIT_THREADS)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "threads is %d; it takes 1 to %d, or 0 for all that this process may use",
                         o->threads, CARA_LIMIT_THREADS);
    if (!cara_model_tokenizer(model))
        return cara_fail(err, CARA_ERR_VOCAB, -1,
                         "This model was opened without its vocabulary, so it cannot transcribe");
    return check_compute_type(model, o->compute_type, quantise, err);
}

static int no_memory(cara_error *err, int n, int threads) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for %d sessions with %d threads", n,
                     threads);
}

/* Threads, kernels, mel tables and the backend for n sessions. */
static int new_group(const cara_model *model, const cara_session_options *o, int n, int quantise,
                     cara_session_group **out, cara_error *err) {
    const char *level = o->cpu_level ? o->cpu_level : getenv("CARACOLA_CPU");
    int threads = o->threads ? o->threads : cara_threads_available();
    threads = threads < CARA_LIMIT_THREADS ? threads : CARA_LIMIT_THREADS;
    cara_session_group *g = calloc(1, sizeof *g);
    if (!g)
        return no_memory(err, n, threads);
    g->n_left = n;
    int rc = cara_cpu_pick(level && *level ? level : NULL, &g->level, err);
    if (rc)
        goto fail;
    g->pool = cara_pool_new(threads);
    if (!g->pool) {
        rc = no_memory(err, n, threads);
        goto fail;
    }
    cara_model_read_ahead(model);
    rc = cara_mel_tables_new(cara_model_dims(model)->n_mels, &g->mel_tables, err);
    const cara_cpu_options cpu = {.kernels = cara_kernels_for(g->level),
                                  .pool = g->pool,
                                  .quantise = quantise,
                                  .n_audios = n,
                                  .n_slots = n * CARA_MAX_CANDIDATES};
    if (!rc)
        rc = cara_cpu_backend_new(model, &cpu, &g->backend, err);
    if (!rc && n > 1) {
        g->passes = cara_passes_new(g->backend, n, CARA_MAX_CANDIDATES,
                                    (size_t)cara_model_dims(model)->n_vocab);
        if (g->passes)
            g->backend = NULL; /* the passes' */
        else
            rc = no_memory(err, n, threads);
    }
    if (!rc) {
        *out = g;
        return CARA_OK;
    }
fail:
    free_group(g);
    return rc;
}

static int new_draft(cara_session *s, const cara_model *model, const cara_session_options *o,
                     int quantise, cara_error *err) {
    const cara_cpu_options cpu = {.kernels = s->kernels,
                                  .pool = s->group->pool,
                                  .quantise = quantise,
                                  .n_audios = 1,
                                  .n_slots = 1};
    cara_backend *backend;
    int rc = cara_draft_check(o->draft_model, model, err);
    if (!rc)
        rc = cara_cpu_backend_new(o->draft_model, &cpu, &backend, err);
    if (rc)
        return rc;
    double step = cara_cpu_backend_step_bytes(backend) / cara_cpu_backend_step_bytes(s->backend);
    rc = cara_draft_new(backend, cara_model_dims(o->draft_model), step, o->draft_tokens, &s->draft,
                        err);
    if (rc)
        cara_backend_free(backend);
    return rc;
}

/* One of the group's. NULL where there is no memory. */
static cara_session *new_session(const cara_model *model, cara_session_group *group, int index) {
    cara_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->dims = cara_model_dims(model);
    s->mel = aligned_alloc(64, (size_t)s->dims->n_mels * CARA_N_FRAMES * sizeof *s->mel);
    if (!s->mel) {
        free(s);
        return NULL;
    }
    s->group = group;
    s->tokenizer = cara_model_tokenizer(model);
    s->kernels = cara_kernels_for(group->level);
    s->mel_tables = group->mel_tables;
    s->heads = cara_model_alignment_heads(model, &s->n_heads);
    /* The pool is for one session at a time: several make their own mel each. */
    s->mel_pool = group->passes ? NULL : group->pool;
    s->backend = group->passes ? cara_passes_session(group->passes, index) : group->backend;
    s->result_limit = CARA_LIMIT_RESULT_BYTES;
    return s;
}

int cara_sessions_new(const cara_model *model, const cara_session_options *options, int n,
                      cara_session **out, cara_error *err) {
    cara_session_options o;
    int quantise;
    cara_session_group *group = NULL;
    if (!out)
        return cara_fail_null(err, __func__, "out");
    for (int i = 0; i < n && i < CARA_MAX_SESSIONS; i++)
        out[i] = NULL;
    if (!model)
        return cara_fail_null(err, __func__, "model");
    cara_session_options_default(&o, sizeof o);
    int rc = cara_sized_read(&o, sizeof o, options, "cara_session_options", err);
    if (!rc)
        rc = check_options(model, &o, n, &quantise, err);
    if (!rc)
        rc = new_group(model, &o, n, quantise, &group, err);
    if (rc)
        return rc;
    int made = 0;
    while (made < n && (out[made] = new_session(model, group, made)))
        made++;
    if (made < n)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for %d sessions", n);
    else if (o.draft_model)
        rc = new_draft(out[0], model, &o, quantise, err);
    if (!rc)
        return CARA_OK;
    group->n_left = made + 1; /* the last reference is ours */
    while (made > 0) {
        cara_session_free(out[--made]);
        out[made] = NULL;
    }
    free_group(group);
    return rc;
}

int cara_session_new(const cara_model *model, const cara_session_options *options,
                     cara_session **out, cara_error *err) {
    if (!out)
        return cara_fail_null(err, __func__, "out");
    *out = NULL;
    if (!model)
        return cara_fail_null(err, __func__, "model");
    return cara_sessions_new(model, options, 1, out, err);
}

void cara_session_options_default(cara_session_options *options, size_t size) {
    const cara_session_options defaults = {.struct_size = sizeof defaults};
    cara_sized_default(options, size, &defaults, sizeof defaults);
}

const char *cara_session_cpu_level(const cara_session *session) {
    return session ? cara_cpu_level_name(session->group->level) : "";
}

void cara_session_free(cara_session *s) {
    if (!s)
        return;
    cara_draft_free(s->draft);
    free(s->mel);
    free(s->logits);
    if (__atomic_sub_fetch(&s->group->n_left, 1, __ATOMIC_ACQ_REL) == 0)
        free_group(s->group);
    free(s);
}
