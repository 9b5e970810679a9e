#include "whisper/decoding/draft.h"

#include "base/clock.h"
#include "model/weights.h"
#include "whisper/decoding/probability.h"

#include <stdlib.h>
#include <string.h>

/* What each further row of a pass costs, in passes of one row: measured with int8 weights, where
 * reading the weights from memory takes most of a pass (docs/SPEED.md). */
#define ROW_COST 0.07
/* Weight of earlier calls in the share of accepted tokens, for each call since. */
#define DECAY 0.9
/* Where the draft costs more than it saves, it proposes one token again after this many calls. */
#define RETRY_CALLS 16

struct cara_draft {
    cara_backend *backend;
    const float *mel; /* of the window; borrowed */
    size_t audio_ctx;
    const cara_rules *rules;
    int is_encoded;
    float *logits; /* [n_vocab] */
    size_t n_ctx;
    int32_t *tokens; /* [n_ctx] that were fed, then the last proposed one, which was not */
    size_t n_fed;
    size_t proposed_at, n_proposed; /* where the last call's tokens stand in `tokens` */
    double step;                    /* cost of a step, in steps of the large model */
    double accepted, tried;         /* tokens, the older the less they count */
    int idle;                       /* calls since tokens were last proposed */
    size_t length;                  /* tokens a call; 0: by the share of accepted ones */
    double seconds;
};

int cara_draft_check(const cara_model *draft, const cara_model *model, cara_error *err) {
    const cara_dims *d = cara_model_dims(draft), *m = cara_model_dims(model);
    const cara_tokenizer *a = cara_model_tokenizer(draft), *b = cara_model_tokenizer(model);
    if (!a)
        return cara_fail(err, CARA_ERR_VOCAB, -1,
                         "The draft model was opened without its vocabulary");
    size_t n_a = 0, n_b = 0;
    const void *x = cara_tokenizer_source(a, &n_a), *y = cara_tokenizer_source(b, &n_b);
    if (d->n_vocab != m->n_vocab || n_a != n_b || memcmp(x, y, n_a) != 0)
        return cara_fail(err, CARA_ERR_VOCAB, -1,
                         "The draft model's vocabulary of %d tokens is not the model's of %d; use "
                         "a draft model of the same family",
                         (int)d->n_vocab, (int)m->n_vocab);
    if (d->n_mels != m->n_mels)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                         "The draft model takes %d mel bands and the model %d; use a draft model "
                         "of the same family",
                         (int)d->n_mels, (int)m->n_mels);
    return CARA_OK;
}

int cara_draft_new(cara_backend *backend, const cara_dims *dims, double step, int length,
                   cara_draft **out, cara_error *err) {
    *out = NULL;
    cara_draft *d = calloc(1, sizeof *d);
    int rc = backend->ops->reserve_slots(backend, 0, 1, err);
    if (!d && !rc)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the draft model");
    if (rc)
        goto fail;
    d->n_ctx = (size_t)dims->n_text_ctx;
    d->step = step;
    d->length = (size_t)length;
    d->accepted = 0.7 * 10; /* until some were measured */
    d->tried = 10;
    d->logits = malloc(sizeof *d->logits * (size_t)dims->n_vocab);
    d->tokens = malloc(sizeof *d->tokens * d->n_ctx);
    if (!d->logits || !d->tokens) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the draft model");
        goto fail;
    }
    d->backend = backend;
    *out = d;
    return CARA_OK;
fail:
    cara_draft_free(d);
    return rc;
}

static void end_window(cara_draft *d) {
    if (d->is_encoded)
        d->backend->ops->finish(d->backend, 0);
    d->is_encoded = 0;
    d->n_proposed = 0;
}

void cara_draft_free(cara_draft *d) {
    if (!d)
        return;
    end_window(d);
    cara_backend_free(d->backend);
    free(d->logits);
    free(d->tokens);
    free(d);
}

void cara_draft_set_window(cara_draft *d, const float *mel, size_t audio_ctx,
                           const cara_rules *rules) {
    end_window(d);
    d->mel = mel;
    d->audio_ctx = audio_ctx;
    d->rules = rules;
}

void cara_draft_set_stop(cara_draft *d, cara_backend_stop stop) {
    if (d)
        d->backend->ops->set_stop(d->backend, stop);
}

double cara_draft_seconds(cara_draft *d) {
    double seconds = d ? d->seconds : 0;
    if (d)
        d->seconds = 0;
    return seconds;
}

size_t cara_draft_length(double chance, double step, size_t most) {
    size_t best = 0;
    double tokens = 1, all = 1, best_value = 1;
    for (size_t k = 1; k <= most; k++) {
        all *= chance;
        tokens += all; /* expected: 1 + p + p^2 + ... */
        double value = tokens / (1 + (double)k * (ROW_COST + step));
        if (value > best_value) {
            best_value = value;
            best = k;
        }
    }
    return best;
}

/* Counts how many of the last call's tokens were accepted into tokens [n]. */
static void count_accepted(cara_draft *d, const int32_t *tokens, size_t n) {
    size_t accepted = 0;
    while (accepted < d->n_proposed && d->proposed_at + accepted < n &&
           tokens[d->proposed_at + accepted] == d->tokens[d->proposed_at + accepted])
        accepted++;
    if (d->n_proposed) {
        d->accepted = d->accepted * DECAY + (double)accepted;
        d->tried = d->tried * DECAY + (double)accepted + (accepted < d->n_proposed);
    }
    d->n_proposed = 0;
}

static int encode(cara_draft *d, cara_error *err) {
    int rc = d->backend->ops->encode_window(d->backend, 0, d->mel, d->audio_ctx, err);
    if (!rc)
        d->backend->ops->start(d->backend, 0, 0);
    d->n_fed = 0;
    d->is_encoded = !rc;
    return rc;
}

/* Feeds what was not fed yet of d->tokens [n]; d->logits are those after the last. */
static int feed(cara_draft *d, size_t n, cara_error *err) {
    const cara_run run = {0, d->tokens + d->n_fed, n - d->n_fed};
    const size_t last = run.n - 1;
    int rc = d->backend->ops->forward(d->backend, &run, 1, &last, 1, d->logits, err);
    if (!rc)
        d->n_fed = n;
    return rc;
}

static int propose(cara_draft *d, const int32_t *tokens, size_t n, size_t begin, size_t most,
                   int32_t *out, size_t *n_out, cara_error *err) {
    int rc = d->is_encoded ? CARA_OK : encode(d, err);
    if (rc)
        return rc;
    size_t same = 0;
    while (same < d->n_fed && same + 1 < n && tokens[same] == d->tokens[same])
        same++;
    d->backend->ops->truncate(d->backend, 0, same);
    d->n_fed = same;
    memcpy(d->tokens + same, tokens + same, (n - same) * sizeof *tokens);
    while (*n_out < most) {
        if ((rc = feed(d, n, err)))
            return rc;
        cara_rules_apply(d->rules, d->tokens + begin, n - begin, d->logits);
        int32_t next = (int32_t)cara_argmax(d->logits, (size_t)d->rules->n_vocab);
        d->tokens[n++] = out[(*n_out)++] = next;
        if (next == d->rules->eot)
            break;
    }
    return CARA_OK;
}

int cara_draft_propose(cara_draft *d, const int32_t *tokens, size_t n, size_t begin, size_t most,
                       int32_t *out, size_t *n_out, cara_error *err) {
    *n_out = 0;
    count_accepted(d, tokens, n);
    if (n >= d->n_ctx)
        return CARA_OK;
    most = most < d->n_ctx - n ? most : d->n_ctx - n;
    size_t length = d->length < most ? d->length : most;
    if (!d->length)
        length = cara_draft_length(d->accepted / d->tried, d->step, most);
    if (!length && most && ++d->idle >= RETRY_CALLS)
        length = 1;
    if (!length)
        return CARA_OK;
    d->idle = 0;
    double start = cara_clock_monotonic();
    int rc = propose(d, tokens, n, begin, length, out, n_out, err);
    d->seconds += cara_clock_monotonic() - start;
    if (rc)
        *n_out = 0;
    d->proposed_at = n;
    d->n_proposed = *n_out;
    return rc;
}
