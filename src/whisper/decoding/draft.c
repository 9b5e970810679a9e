#include "whisper/decoding/draft.h"

#include "base/clock.h"
#include "tokenizer/tokenizer.h"
#include "whisper/decoding/probability.h"
#include "whisper/network/encoder.h"
#include "whisper/network/quantise.h"

#include <stdlib.h>
#include <string.h>

/* What each further row of a pass costs, in passes of one row: measured with int8 weights, where
 * the weights' way from memory takes most of a pass (docs/SPEED.md). */
#define ROW_COST 0.07
/* How fast what was long ago is forgotten, a call. */
#define MEMORY 0.9
/* Where guessing does not pay, it is tried again so often. */
#define TRY_AGAIN 16

struct cara_draft {
    cara_compute compute;
    cara_quantised *quantised; /* or NULL */
    cara_encoder *encoder;
    cara_decoder *decoder;
    const float *mel; /* of the window; borrowed */
    const cara_rules *rules;
    int is_encoded;
    float *states; /* [n_audio_ctx, n_audio_state] */
    float *logits; /* [n_vocab] */
    size_t n_ctx;
    int32_t *tokens; /* [n_ctx] that the decoder holds, then the guess that it does not */
    size_t guessed_at, n_guessed; /* where the last call's guesses stand in `tokens` */
    double step;                  /* cost of a step, in steps of the large model */
    double right, tried;          /* guesses, of late */
    int idle;                     /* calls since a guess was made */
    size_t length;                /* guesses a call; 0: as many as seem to pay */
    double seconds;
};

static int check(const cara_model *model, const cara_model *large, cara_error *err) {
    const cara_dims *d = cara_model_dims(model), *l = cara_model_dims(large);
    const cara_tokenizer *a = cara_model_tokenizer(model), *b = cara_model_tokenizer(large);
    if (!a)
        return cara_fail(err, CARA_ERR_VOCAB, -1,
                         "The draft model was opened without its vocabulary");
    size_t n = 0, m = 0;
    const void *x = cara_tokenizer_source(a, &n), *y = cara_tokenizer_source(b, &m);
    if (d->n_vocab != l->n_vocab || n != m || memcmp(x, y, n) != 0)
        return cara_fail(
            err, CARA_ERR_VOCAB, -1,
            "The draft model's vocabulary of %d tokens is not the model's of %d; take a "
            "draft of the same family",
            (int)d->n_vocab, (int)l->n_vocab);
    if (d->n_mels != l->n_mels)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                         "The draft model hears %d mel bands and the model %d; take a draft of the "
                         "same family",
                         (int)d->n_mels, (int)l->n_mels);
    return CARA_OK;
}

/* Bytes of weights that a step reads, about. */
static double step_bytes(const cara_compute *compute) {
    const cara_dims *d = cara_model_dims(compute->model);
    const cara_weights *w = cara_compute_weights(compute);
    double s = d->n_text_state, layers = d->n_text_layer;
    int i8 = w->token_embedding.dtype == CARA_I8, f32 = w->token_embedding.dtype == CARA_F32;
    return (14 * layers * s * s + d->n_vocab * s) * (i8 ? 1 : f32 ? 4 : 2);
}

int cara_draft_new(const cara_model *model, const cara_compute *compute, int quantise, int length,
                   cara_draft **out, cara_error *err) {
    *out = NULL;
    int rc = check(model, compute->model, err);
    if (rc)
        return rc;
    cara_draft *d = calloc(1, sizeof *d);
    if (!d)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the draft model");
    const cara_dims *dims = cara_model_dims(model);
    d->compute = *compute;
    d->compute.model = model;
    d->compute.weights = NULL;
    d->n_ctx = (size_t)dims->n_text_ctx;
    d->length = (size_t)length;
    d->right = 0.7 * 10; /* until it is known better */
    d->tried = 10;
    d->states = malloc(sizeof *d->states * (size_t)dims->n_audio_ctx * (size_t)dims->n_audio_state);
    d->logits = malloc(sizeof *d->logits * (size_t)dims->n_vocab);
    d->tokens = malloc(sizeof *d->tokens * d->n_ctx);
    if (!d->states || !d->logits || !d->tokens) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "No memory for the draft model");
        goto fail;
    }
    if (quantise) {
        if ((rc = cara_quantise(&d->compute, &d->quantised, err)))
            goto fail;
        d->compute.weights = cara_quantised_weights(d->quantised);
    }
    d->step = step_bytes(&d->compute) / step_bytes(compute);
    if ((rc = cara_encoder_new(&d->compute, &d->encoder, err)) ||
        (rc = cara_decoder_new(&d->compute, 1, 1, &d->decoder, err)))
        goto fail;
    *out = d;
    return CARA_OK;
fail:
    cara_draft_free(d);
    return rc;
}

void cara_draft_free(cara_draft *d) {
    if (!d)
        return;
    cara_encoder_free(d->encoder);
    cara_decoder_free(d->decoder);
    cara_quantised_free(d->quantised);
    free(d->states);
    free(d->logits);
    free(d->tokens);
    free(d);
}

void cara_draft_hear(cara_draft *d, const float *mel, size_t audio_ctx, const cara_rules *rules) {
    d->mel = mel;
    cara_encoder_use_ctx(d->encoder, audio_ctx);
    cara_decoder_use_audio_ctx(d->decoder, 0, audio_ctx);
    d->rules = rules;
    d->is_encoded = 0;
    d->n_guessed = 0;
}

double cara_draft_seconds(cara_draft *d) {
    double seconds = d->seconds;
    d->seconds = 0;
    return seconds;
}

size_t cara_draft_length(double chance, double step, size_t most) {
    size_t best = 0;
    double tokens = 1, right = 1, best_value = 1;
    for (size_t k = 1; k <= most; k++) {
        right *= chance;
        tokens += right; /* expected: 1 + p + p^2 + ... */
        double value = tokens / (1 + (double)k * (ROW_COST + step));
        if (value > best_value) {
            best_value = value;
            best = k;
        }
    }
    return best;
}

/* Counts how many of the last guesses stand in tokens [n] now. */
static void learn(cara_draft *d, const int32_t *tokens, size_t n) {
    size_t right = 0;
    while (right < d->n_guessed && d->guessed_at + right < n &&
           tokens[d->guessed_at + right] == d->tokens[d->guessed_at + right])
        right++;
    if (d->n_guessed) {
        d->right = d->right * MEMORY + (double)right;
        d->tried = d->tried * MEMORY + (double)right + (right < d->n_guessed);
    }
    d->n_guessed = 0;
}

static int encode(cara_draft *d, cara_error *err) {
    int rc = cara_encoder_run(d->encoder, d->mel, d->states, err);
    if (!rc)
        rc = cara_decoder_set_audio(d->decoder, 0, d->states, err);
    d->is_encoded = !rc;
    return rc;
}

/* Feeds what the decoder lacks of d->tokens [n]; d->logits are those behind the last. */
static int feed(cara_draft *d, size_t n, cara_error *err) {
    size_t held = cara_decoder_length(d->decoder, 0), last = n - held - 1;
    return cara_decoder_forward(d->decoder, &(cara_run){0, d->tokens + held, n - held}, 1, &last, 1,
                                d->logits, err);
}

static int make_guesses(cara_draft *d, const int32_t *tokens, size_t n, size_t begin, size_t most,
                        int32_t *out, size_t *n_out, cara_error *err) {
    int rc = d->is_encoded ? CARA_OK : encode(d, err);
    size_t same = 0, held = cara_decoder_length(d->decoder, 0);
    while (same < held && same + 1 < n && tokens[same] == d->tokens[same])
        same++;
    cara_decoder_truncate(d->decoder, 0, same);
    memcpy(d->tokens + same, tokens + same, (n - same) * sizeof *tokens);
    while (!rc && *n_out < most) {
        if ((rc = feed(d, n, err)))
            break;
        cara_rules_apply(d->rules, d->tokens + begin, n - begin, d->logits);
        int32_t next = (int32_t)cara_argmax(d->logits, (size_t)d->rules->n_vocab);
        d->tokens[n++] = out[(*n_out)++] = next;
        if (next == d->rules->eot)
            break;
    }
    return rc;
}

static int guess(void *ctx, const int32_t *tokens, size_t n, size_t begin, size_t most,
                 int32_t *out, size_t *n_out, cara_error *err) {
    cara_draft *d = ctx;
    *n_out = 0;
    learn(d, tokens, n);
    if (n >= d->n_ctx)
        return CARA_OK;
    most = most < d->n_ctx - n ? most : d->n_ctx - n;
    size_t length = d->length < most ? d->length : most;
    if (!d->length)
        length = cara_draft_length(d->right / d->tried, d->step, most);
    if (!length && most && ++d->idle >= TRY_AGAIN)
        length = 1;
    if (!length)
        return CARA_OK;
    d->idle = 0;
    double start = cara_clock_monotonic();
    int rc = make_guesses(d, tokens, n, begin, length, out, n_out, err);
    d->seconds += cara_clock_monotonic() - start;
    if (rc)
        *n_out = 0;
    d->guessed_at = n;
    d->n_guessed = *n_out;
    return rc;
}

cara_guesser cara_draft_guesser(cara_draft *d) {
    return (cara_guesser){guess, d};
}
