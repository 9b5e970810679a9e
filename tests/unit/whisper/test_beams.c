/* Beam search against BeamSearchDecoder of decoding.py, written here as the reference has it: lists
 * of whole sequences that are sorted. Logits follow from all tokens of a slot, so that a slot which
 * holds another beam's tokens is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/decoding/decoding.h"
#include "whisper/decoding/probability.h"
#include "whisper/decoding/settings.h"

#include "vocabulary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 51865, EOT = 50257, BEAMS = 6, TOKENS = 9, FIRST = 100, LONGEST = 24, ENDED = 64 };

static cara_tokenizer *tokenizer;
static float *logits; /* [BEAMS, N_VOCAB] */
static float *row;    /* [N_VOCAB] */

static int open_all(void **state) {
    (void)state;
    tokenizer = open_vocabulary(N_VOCAB);
    logits = malloc((size_t)(BEAMS + 1) * N_VOCAB * sizeof *logits);
    row = logits ? logits + (size_t)BEAMS * N_VOCAB : NULL;
    return logits ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    cara_tokenizer_free(tokenizer);
    free(logits);
    return 0;
}

typedef struct sequence {
    int32_t tokens[LONGEST + 1]; /* sampled ones */
    size_t n;
    float score;
    int source;
} sequence;

/* ---- logits of a sequence ---- */

typedef struct model {
    uint64_t seed;
    int steps;   /* different values of a logit: few give ties */
    double ends; /* added to the logit of eot */
} model;

static void logits_of(const model *m, const int32_t *sampled, size_t n, float *out) {
    uint64_t hash = m->seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (uint64_t)sampled[i]) * 0x100000001B3u;
    cara_random random;
    cara_random_seed(&random, hash);
    for (int i = 0; i < N_VOCAB; i++)
        out[i] = -INFINITY;
    for (int i = 0; i <= TOKENS; i++) {
        float x = (float)(4 * floor(cara_random_next(&random) * m->steps) / m->steps);
        out[i < TOKENS ? FIRST + i * 300 : EOT] = i < TOKENS ? x : x + (float)m->ends;
    }
    if (!n)
        out[EOT] = -INFINITY; /* a sequence without tokens has no score */
}

/* ---- a backend ---- */

typedef struct fake {
    cara_backend backend;
    model model;
    size_t n_prompt;
    struct {
        int32_t tokens[LONGEST + 1];
        size_t n;
    } slots[BEAMS], moved[BEAMS];
    int forked;
} fake;

static void fake_start(cara_backend *b, int slot, int audio) {
    fake *f = (fake *)b;
    (void)slot, (void)audio;
    f->n_prompt = 0;
    memset(f->slots, 0, sizeof f->slots);
}

static void fake_finish(cara_backend *b, int slot) {
    (void)b, (void)slot;
}

static void fake_fork(cara_backend *b, int from, int first, int n) {
    assert_int_equal(from + first, 0);
    ((fake *)b)->forked = n; /* all slots are empty behind the prompt */
}

static void fake_reorder(cara_backend *b, int first, const int *source, int n) {
    fake *f = (fake *)b;
    assert_int_equal(first, 0);
    assert_true(n <= BEAMS);
    for (int i = 0; i < n; i++) {
        assert_in_range(source[i], 0, n - 1);
        f->moved[i] = f->slots[source[i]];
    }
    memcpy(f->slots, f->moved, (size_t)n * sizeof *f->slots);
}

static int fake_forward(cara_backend *b, const cara_run *runs, size_t n_runs, const size_t *wanted,
                        size_t n_wanted, float *out, cara_error *err) {
    fake *f = (fake *)b;
    (void)err;
    if (!f->n_prompt) {
        assert_int_equal(n_runs, 1);
        f->n_prompt = runs->n;
        assert_int_equal(wanted[n_wanted - 1], runs->n - 1);
        for (size_t i = 0; i < n_wanted; i++)
            logits_of(&f->model, NULL, 0, out + i * N_VOCAB);
        return CARA_OK;
    }
    assert_int_equal(n_runs, n_wanted);
    for (size_t i = 0; i < n_runs; i++) {
        int slot = runs[i].slot;
        assert_int_equal(runs[i].n, 1);
        assert_true(f->slots[slot].n < LONGEST);
        f->slots[slot].tokens[f->slots[slot].n++] = runs[i].tokens[0];
        logits_of(&f->model, f->slots[slot].tokens, f->slots[slot].n, out + i * N_VOCAB);
    }
    return CARA_OK;
}

static const cara_backend_ops fake_ops = {.start = fake_start,
                                          .finish = fake_finish,
                                          .fork = fake_fork,
                                          .reorder = fake_reorder,
                                          .forward = fake_forward};

/* ---- BeamSearchDecoder ---- */

static int by_score(const void *a, const void *b) {
    const sequence *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->source - y->source; /* the order in which they were found */
}

static int same_tokens(const sequence *a, const sequence *b) {
    return a->n == b->n && memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0;
}

/* One update(): beams of the next step into `beams`, ended ones behind `ended`. */
static void update(const model *m, sequence *beams, int n, sequence *ended, size_t *n_ended,
                   size_t most) {
    static sequence found[BEAMS * (BEAMS + 1)];
    size_t n_found = 0;
    for (int i = 0; i < n; i++) {
        logits_of(m, beams[i].tokens, beams[i].n, row);
        float lse = cara_log_sum_exp(cara_kernels_for(CARA_CPU_SCALAR), row, N_VOCAB);
        for (int k = 0; k <= n; k++) { /* topk(beam_size + 1) */
            size_t best = cara_argmax(row, N_VOCAB);
            sequence next = beams[i];
            next.tokens[next.n++] = (int32_t)best;
            next.score = beams[i].score + (row[best] - lse);
            row[best] = -INFINITY;
            size_t same = 0;
            while (same < n_found && !same_tokens(&found[same], &next))
                same++;
            if (same < n_found)
                continue; /* a key of the dictionary that is there already */
            next.source = (int)n_found;
            found[n_found++] = next;
        }
    }
    qsort(found, n_found, sizeof *found, by_score);
    int saved = 0;
    size_t before = *n_ended;
    for (size_t i = 0; i < n_found && saved < n; i++) {
        if (found[i].tokens[found[i].n - 1] != EOT)
            beams[saved++] = found[i];
        else if (*n_ended < most)
            ended[(*n_ended)++] = found[i];
    }
    assert_int_equal(saved, n);
    assert_true(*n_ended >= before);
}

/* DecodingTask.run() with MaximumLikelihoodRanker: the tokens without eot. */
static sequence search(const model *m, int n, double patience, double length_penalty,
                       int sample_len) {
    sequence beams[BEAMS] = {0}, ended[ENDED];
    size_t n_ended = 0, most = (size_t)rint(n * patience);
    for (int step = 0; step < sample_len && n_ended < most; step++)
        update(m, beams, n, ended, &n_ended, most);
    for (int taken = 0; n_ended < (size_t)n; taken++) {
        int best = 0;
        for (int i = 0; i < n; i++)
            if (beams[i].score >= beams[best].score)
                best = i;
        ended[n_ended] = beams[best];
        ended[n_ended].tokens[ended[n_ended].n++] = EOT;
        n_ended++;
        beams[best].score = -INFINITY;
    }
    size_t chosen = 0;
    double best = -INFINITY;
    for (size_t i = 0; i < n_ended; i++) {
        ended[i].n--;
        double length = (double)ended[i].n;
        double penalty = isnan(length_penalty) ? length : pow((5 + length) / 6, length_penalty);
        double score = ended[i].score / penalty;
        if (score > best) {
            best = score;
            chosen = i;
        }
    }
    return ended[chosen];
}

static cara_arena task_arena;

/* A task in Spanish without any filter, so that the model alone decides. */
static void plain_task(cara_settings *s) {
    cara_options options;
    cara_options_default(&options, sizeof options);
    options.language = "es";
    options.suppress_tokens = "";
    options.suppress_blank = 0;
    cara_dims dims = dims_of_test(N_VOCAB);
    cara_arena_init(&task_arena, 1 << 20);
    assert_int_equal(cara_settings_check(&options, &dims, tokenizer,
                                         cara_kernels_for(CARA_CPU_SCALAR), &task_arena, s, NULL),
                     CARA_OK);
    s->task.rules.timestamps = 0;
}

static void sequences_are_those_of_the_reference(void **state) {
    (void)state;
    static const double penalties[] = {NAN, 0.0, 0.6, 1.0}, patiences[] = {1, 2, 0.75, 1.5};
    size_t other_than_greedy = 0, cut = 0, cases = 0;
    for (uint64_t seed = 0; seed < 120; seed++) {
        int n = 1 + (int)(seed % BEAMS), sample_len = seed % 5 == 0 ? 3 : LONGEST - 1;
        double patience = patiences[seed / 3 % 4], penalty = penalties[seed / 7 % 4];
        cara_arena arena;
        cara_settings s;
        cara_arena_init(&arena, 1 << 24);
        plain_task(&s);
        s.task.sample_len = sample_len;
        s.task.length_penalty = penalty;
        fake f = {.backend = {&fake_ops},
                  .model = {seed, seed % 4 == 1 ? 3 : 1000, seed % 3 == 0 ? -2 : 0}};
        cara_attempt attempt = {.candidates = n, .patience = patience};
        cara_decoding got;
        assert_int_equal(
            cara_decode(&s.task, &attempt, &f.backend, NULL, logits, &arena, &got, NULL), CARA_OK);
        sequence expected = search(&f.model, n, patience, penalty, sample_len);
        assert_int_equal(got.n_tokens, expected.n);
        assert_memory_equal(got.tokens, expected.tokens, expected.n * sizeof *got.tokens);
        assert_true(got.avg_logprob == (double)expected.score / (double)(expected.n + 1));
        sequence greedy = search(&f.model, 1, 1, NAN, sample_len);
        other_than_greedy += !same_tokens(&greedy, &expected);
        cut += expected.n == (size_t)sample_len;
        cases++;
        cara_arena_free(&arena);
        cara_arena_free(&task_arena);
    }
    /* Else the cases would prove nothing. */
    assert_true(other_than_greedy > cases / 4);
    assert_true(cut > 0 && cut < cases);
}

/* Memory that ends at any point is a failure, never a crash. */
static void no_memory_is_said(void **state) {
    (void)state;
    fake f = {.backend = {&fake_ops}, .model = {1, 1000, 0}};
    cara_attempt attempt = {.candidates = BEAMS, .patience = 2};
    size_t failed = 0, limit = 0;
    for (int rc = CARA_ERR_MEMORY; rc != CARA_OK; limit += 512) {
        cara_arena arena;
        cara_settings s;
        cara_decoding got;
        cara_error err = {0};
        plain_task(&s);
        cara_arena_init(&arena, limit);
        rc = cara_decode(&s.task, &attempt, &f.backend, NULL, logits, &arena, &got, &err);
        if (rc) {
            assert_int_equal(rc, CARA_ERR_MEMORY);
            assert_non_null(strstr(err.text, "memory"));
            failed++;
        }
        cara_arena_free(&arena);
        cara_arena_free(&task_arena);
    }
    assert_true(failed > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_is_said),
        cmocka_unit_test(sequences_are_those_of_the_reference),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
