#include "whisper/backend/shared.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

static int choose_type(cara_shared *sh, const char *type, cara_error *err) {
    int has_i8 = cara_weights_have_i8(sh->compute.model);
    if (!type || !*type || !strcmp(type, "default"))
        return CARA_OK;
    if (!strcmp(type, "int8")) {
        int rc = cara_quantise(&sh->compute, &sh->quantised, err);
        if (!rc)
            sh->compute.weights = cara_quantised_weights(sh->quantised);
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

static void free_all(cara_shared *sh) {
    cara_decoder_free(sh->decoder);
    cara_encoder_free(sh->encoder);
    cara_quantised_free(sh->quantised);
    cara_mel_tables_free(sh->tables);
    cara_pool_free(sh->compute.pool);
    cara_passes_free(sh->passes);
    free(sh);
}

int cara_shared_new(const cara_model *model, const cara_session_options *options, int n,
                    int (*poll)(void *cookie), cara_shared **out, cara_error *err) {
    *out = NULL;
    int threads = options ? options->threads : 0;
    const char *level = options ? options->cpu_level : NULL;
    if (threads < 0 || threads > CARA_LIMIT_THREADS)
        return cara_fail(err, CARA_ERR_USAGE, -1,
                         "threads is %d; it takes 1 to %d, or 0 for all there are", threads,
                         CARA_LIMIT_THREADS);
    if (!cara_model_tokenizer(model))
        return cara_fail(err, CARA_ERR_VOCAB, -1,
                         "This model was opened without its vocabulary, so it cannot transcribe");
    if (!level)
        level = getenv("CARACOLA_CPU");
    if (level && !*level)
        level = NULL;

    cara_shared *sh = calloc(1, sizeof *sh);
    if (!sh)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for a session");
    sh->n = sh->left = n;
    int rc = cara_cpu_pick(level, &sh->level, err);
    if (rc)
        goto fail;
    if (!threads)
        threads = cara_threads_available();
    if (threads > CARA_LIMIT_THREADS)
        threads = CARA_LIMIT_THREADS;
    sh->compute = (cara_compute){
        .model = model, .kernels = cara_kernels_for(sh->level), .poll = poll, .cookie = sh};
    sh->compute.pool = cara_pool_new(threads);
    sh->passes = cara_passes_new();
    cara_model_read_ahead(model);
    if (!sh->compute.pool || !sh->passes) {
        rc =
            cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for a session with %d threads", threads);
        goto fail;
    }
    rc = choose_type(sh, options ? options->compute_type : NULL, err);
    if (!rc)
        rc = cara_mel_tables_new(cara_model_dims(model)->n_mels, &sh->tables, err);
    if (!rc)
        rc = cara_encoder_new(&sh->compute, &sh->encoder, err);
    if (rc)
        goto fail;
    *out = sh;
    return CARA_OK;
fail:
    free_all(sh);
    return rc;
}

void cara_shared_enter(cara_shared *sh, cara_session *session) {
    cara_passes_enter(sh->passes);
    if (sh->n > 1)
        sh->current = session;
}

void cara_shared_leave(cara_shared *sh) {
    if (sh->n > 1)
        sh->current = NULL;
    cara_passes_leave(sh->passes);
}

int cara_shared_decoder(cara_shared *sh, cara_error *err) {
    if (sh->decoder)
        return CARA_OK;
    return cara_decoder_new(&sh->compute, sh->n, sh->n * CARA_SHARED_SLOTS, &sh->decoder, err);
}

void cara_shared_release(cara_shared *sh) {
    if (sh && __atomic_sub_fetch(&sh->left, 1, __ATOMIC_ACQ_REL) == 0)
        free_all(sh);
}
