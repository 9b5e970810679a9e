/* One window's decoding over handmade logits: prompts, ends, candidates, scores, languages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "tokenizer/language.h"
#include "whisper/decoding/decoding.h"
#include "whisper/decoding/settings.h"

#include "vocabulary.h"

#include <math.h>

enum { N_VOCAB = 51865, MOST = 64 };
static cara_tokenizer *tokenizer;
static float *logits;

static int open_all(void **state) {
    (void)state;
    tokenizer = open_vocabulary(N_VOCAB);
    logits = malloc((size_t)MOST * N_VOCAB * sizeof *logits);
    return logits ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    cara_tokenizer_free(tokenizer);
    free(logits);
    return 0;
}

/* A decoder whose next token depends on the last one alone: a table of {after, token, weight}.
 * What the table does not name has weight 0. */
typedef struct arc {
    int32_t after, token;
    double weight; /* probability, up to a factor */
} arc;

typedef struct fake {
    cara_backend backend;
    const arc *arcs;
    size_t n_arcs;
    int32_t prompt[512];
    size_t n_prompt, wanted[2], n_wanted;
    double no_speech; /* probability at sot */
    int n_rows;
    size_t positions; /* fed so far */
    size_t n_text_ctx;
    int cancel_after; /* steps; 0: never */
    int steps;
    int passes; /* behind the prompt */
    int windows_open;
} fake;

static void logits_after(const fake *f, int32_t last, float *out) {
    for (int i = 0; i < N_VOCAB; i++)
        out[i] = -INFINITY;
    for (size_t i = 0; i < f->n_arcs; i++)
        if (f->arcs[i].after == last || f->arcs[i].after < 0)
            out[f->arcs[i].token] = (float)log(f->arcs[i].weight);
}

static void fake_start(cara_backend *b, int slot, int audio) {
    fake *f = (fake *)b;
    assert_int_equal(slot, 0);
    assert_int_equal(audio, 0);
    f->windows_open++;
    f->n_prompt = f->positions = 0;
    f->n_rows = 1;
}

static void fake_prompt(fake *f, const cara_run *run, const size_t *wanted, size_t n_wanted,
                        float *out) {
    assert_true(run->n <= 512);
    memcpy(f->prompt, run->tokens, run->n * sizeof *run->tokens);
    f->n_prompt = f->positions = run->n;
    assert_true(n_wanted == 1 || (n_wanted == 2 && wanted[0] < wanted[1]));
    memcpy(f->wanted, wanted, n_wanted * sizeof *wanted);
    f->n_wanted = n_wanted;
    assert_int_equal(wanted[n_wanted - 1], run->n - 1);
    float *last = out + (n_wanted - 1) * N_VOCAB;
    logits_after(f, run->tokens[run->n - 1], last);
    if (n_wanted == 2) { /* at sot: no speech, or a token that stands for all else */
        logits_after(f, -2, out);
        out[7] = (float)log(1 - f->no_speech);
        out[cara_tokenizer_special(tokenizer)->no_speech] = (float)log(f->no_speech);
    }
}

static void fake_finish(cara_backend *b, int slot) {
    assert_int_equal(slot, 0);
    ((fake *)b)->windows_open--;
}

static void fake_truncate(cara_backend *b, int slot, size_t length) {
    fake *f = (fake *)b;
    assert_int_equal(slot, 0);
    assert_true(length <= f->positions && length >= f->n_prompt);
    f->positions = length;
}

static void fake_fork(cara_backend *b, int from, int first, int n) {
    assert_int_equal(from, 0);
    assert_int_equal(first, 0);
    ((fake *)b)->n_rows = n;
}

static void fake_reorder(cara_backend *b, int first, const int *source, int n) {
    (void)b, (void)first, (void)source, (void)n;
    fail_msg("greedy decoding moves no rows");
}

static int fake_forward(cara_backend *b, const cara_run *runs, size_t n_runs, const size_t *wanted,
                        size_t n_wanted, float *out, cara_error *err) {
    fake *f = (fake *)b;
    assert_int_equal(f->windows_open, 1);
    if (!f->n_prompt) {
        assert_int_equal(n_runs, 1);
        fake_prompt(f, runs, wanted, n_wanted, out);
        return CARA_OK;
    }
    if (f->cancel_after && ++f->steps > f->cancel_after)
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped");
    size_t fed = 0;
    assert_true(n_runs >= 1 && n_runs <= (size_t)f->n_rows);
    for (size_t i = 0; i < n_runs; i++) {
        assert_true(runs[i].slot >= (int)i && runs[i].slot < f->n_rows);
        for (size_t t = 0; t < runs[i].n; t++, fed++) {
            assert_int_equal(wanted[fed], fed);
            logits_after(f, runs[i].tokens[t], out + fed * N_VOCAB);
        }
    }
    assert_int_equal(n_wanted, fed);
    f->passes++;
    f->positions += runs[0].n;
    if (f->n_text_ctx)
        assert_true(f->positions <= f->n_text_ctx);
    return CARA_OK;
}

static const cara_backend_ops fake_ops = {.start = fake_start,
                                          .finish = fake_finish,
                                          .truncate = fake_truncate,
                                          .fork = fake_fork,
                                          .reorder = fake_reorder,
                                          .forward = fake_forward};

/* A task in Spanish without any filter, so that the fake alone decides. */
static void plain_task(cara_arena *arena, cara_settings *s) {
    cara_options options;
    cara_options_default(&options, sizeof options);
    options.language = "es";
    options.suppress_tokens = "";
    options.suppress_blank = 0;
    cara_dims dims = dims_of_test(N_VOCAB);
    assert_int_equal(cara_settings_check(&options, &dims, tokenizer,
                                         cara_kernels_for(CARA_CPU_SCALAR), arena, s, NULL),
                     CARA_OK);
    s->task.rules.timestamps = 0;
}

static int decode(fake *f, const cara_decode_task *task, const cara_attempt *attempt, uint64_t seed,
                  cara_arena *arena, cara_decoding *out) {
    cara_random random;
    cara_random_seed(&random, seed);
    f->backend.ops = &fake_ops;
    int rc = cara_decode(task, attempt, &f->backend, &random, logits, arena, out, NULL);
    assert_int_equal(f->windows_open, 0);
    return rc;
}

#define TRANSCRIBE 50359
#define EOT 50257

static void scores_are_those_of_the_path(void **state) {
    (void)state;
    static const arc arcs[] = {{TRANSCRIBE, 100, 0.5}, {TRANSCRIBE, 101, 0.3},
                               {TRANSCRIBE, EOT, 0.2}, {100, 102, 0.8},
                               {100, EOT, 0.2},        {102, EOT, 1}};
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    cara_settings s;
    plain_task(&arena, &s);
    fake f = {.arcs = arcs, .n_arcs = 6, .no_speech = 0.25};
    cara_attempt attempt = {.candidates = 1};
    cara_decoding d;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
    assert_int_equal(d.n_tokens, 2);
    assert_int_equal(d.tokens[0], 100);
    assert_int_equal(d.tokens[1], 102);
    assert_true(fabs(d.avg_logprob - (log(0.5) + log(0.8)) / 3) < 1e-6);
    assert_true(fabs(d.no_speech_prob - 0.25) < 1e-6);
    assert_true(d.temperature == 0);
    assert_int_equal(f.n_prompt, 3);
    assert_int_equal(f.n_wanted, 2);
    assert_int_equal(f.wanted[0], 0);
    cara_arena_free(&arena);
}

static void prompts_keep_their_end(void **state) {
    (void)state;
    static const arc arcs[] = {{-1, EOT, 1}};
    static const struct {
        size_t given, used;
    } cases[] = {{0, 0}, {1, 1}, {222, 222}, {223, 223}, {224, 223}, {400, 223}};
    int32_t prompt[400];
    for (int i = 0; i < 400; i++)
        prompt[i] = 1000 + i;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_settings s;
        plain_task(&arena, &s);
        fake f = {.arcs = arcs, .n_arcs = 1, .no_speech = 0.5};
        cara_attempt attempt = {.prompt = prompt, .n_prompt = cases[i].given, .candidates = 1};
        cara_decoding d;
        assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
        size_t used = cases[i].used, sot = used ? used + 1 : 0;
        assert_int_equal(f.n_prompt, sot + 3);
        assert_int_equal(f.wanted[0], sot);
        if (used)
            assert_int_equal(f.prompt[0], cara_tokenizer_special(tokenizer)->sot_prev);
        for (size_t k = 0; k < used; k++)
            assert_int_equal(f.prompt[1 + k], prompt[cases[i].given - used + k]);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(f.prompt[sot + k], s.task.sot_sequence[k]);
        assert_int_equal(d.n_tokens, 0);
        assert_true(fabs(d.avg_logprob) < 1e-7);
        assert_true(d.compression_ratio == 0);
        cara_arena_free(&arena);
    }
}

static void endless_text_is_cut(void **state) {
    (void)state;
    static const arc arcs[] = {{-1, 100, 1}}; /* never ends */
    static const struct {
        int32_t sample_len, n_text_ctx;
        size_t prompt, expected;
    } cases[] = {
        {224, 448, 0, 224}, {224, 448, 223, 222}, /* 1 + 223 + 3 tokens before: 449 in all is the
                                                     most */
        {5, 448, 0, 5},     {1, 448, 0, 1},       {1000, 448, 0, 446}, {1000, 16, 7, 6},
    };
    int32_t prompt[223] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_settings s;
        plain_task(&arena, &s);
        s.task.sample_len = cases[i].sample_len;
        s.task.n_text_ctx = cases[i].n_text_ctx;
        fake f = {.arcs = arcs, .n_arcs = 1, .n_text_ctx = (size_t)cases[i].n_text_ctx};
        cara_attempt attempt = {.prompt = prompt, .n_prompt = cases[i].prompt, .candidates = 1};
        cara_decoding d;
        assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
        assert_int_equal(d.n_tokens, cases[i].expected);
        cara_arena_free(&arena);
    }
}

/* 100 ends at once; 101 may say one thing more; 102 always does. */
static const arc candidates[] = {
    {TRANSCRIBE, 100, 0.5}, {TRANSCRIBE, 101, 0.1}, {TRANSCRIBE, 102, 0.4}, {100, EOT, 1},
    {101, EOT, 0.5},        {101, 103, 0.5},        {102, 103, 1},          {103, EOT, 1}};

static void the_best_candidate_is_chosen(void **state) {
    (void)state;
    static const struct {
        double length_penalty;
        int32_t first;
        size_t n_tokens;
        double sum;
    } cases[] = {
        {NAN, 102, 2, 0.4}, /* log(.4) / 2 beats log(.5) / 1 */
        {0.0, 100, 1, 0.5}, /* the sums alone */
        {1.0, 100, 1, 0.5}, /* log(.5) / 1 beats log(.4) / (7/6) */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_settings s;
        plain_task(&arena, &s);
        s.task.length_penalty = cases[i].length_penalty;
        fake f = {.arcs = candidates, .n_arcs = 8, .no_speech = 0.5};
        cara_attempt attempt = {.temperature = 1.0, .candidates = MOST};
        cara_decoding d;
        assert_int_equal(decode(&f, &s.task, &attempt, 3, &arena, &d), CARA_OK);
        assert_int_equal(d.tokens[0], cases[i].first);
        assert_int_equal(d.n_tokens, cases[i].n_tokens);
        assert_true(fabs(d.avg_logprob - log(cases[i].sum) / (double)(cases[i].n_tokens + 1)) <
                    1e-6);
        assert_true(d.temperature == 1.0);
        cara_arena_free(&arena);
    }
}

static void equal_seeds_sample_the_same(void **state) {
    (void)state;
    int firsts[3] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        int32_t first[2];
        for (int again = 0; again < 2; again++) {
            cara_arena arena;
            cara_arena_init(&arena, 1 << 24);
            cara_settings s;
            plain_task(&arena, &s);
            fake f = {.arcs = candidates, .n_arcs = 8, .no_speech = 0.5};
            cara_attempt attempt = {.temperature = 1.0, .candidates = 1};
            cara_decoding d;
            assert_int_equal(decode(&f, &s.task, &attempt, seed, &arena, &d), CARA_OK);
            first[again] = d.tokens[0];
            cara_arena_free(&arena);
        }
        assert_int_equal(first[0], first[1]);
        firsts[first[0] - 100]++;
    }
    /* .5, .1 and .4 of 200, to four sigma */
    assert_in_range(firsts[0], 72, 128);
    assert_in_range(firsts[1], 3, 37);
    assert_in_range(firsts[2], 52, 108);
}

static void repetition_raises_the_compression_ratio(void **state) {
    (void)state;
    int32_t *word;
    size_t n;
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    assert_int_equal(cara_tokenizer_encode(tokenizer, " totoaba", 8, &arena, &word, &n, NULL), 0);
    arc arcs[8];
    assert_true(n >= 1 && n < 8);
    for (size_t i = 0; i < n; i++)
        arcs[i] = (arc){word[i], word[(i + 1) % n], 1};
    arcs[n] = (arc){TRANSCRIBE, word[0], 1};
    cara_settings s;
    plain_task(&arena, &s);
    s.task.sample_len = (int32_t)(20 * n);
    fake f = {.arcs = arcs, .n_arcs = n + 1, .no_speech = 0.5};
    cara_attempt attempt = {.candidates = 1};
    cara_decoding d;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
    /* python3: t = ' '.join(['totoaba'] * 20); len(t) / len(zlib.compress(t.encode())) */
    assert_true(fabs(d.compression_ratio - 159.0 / 19.0) < 1e-9);
    cara_arena_free(&arena);
}

static void stopping_is_passed_on(void **state) {
    (void)state;
    static const arc arcs[] = {{-1, 100, 1}};
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    cara_settings s;
    plain_task(&arena, &s);
    fake f = {.arcs = arcs, .n_arcs = 1, .cancel_after = 3};
    cara_attempt attempt = {.candidates = 1};
    cara_decoding d;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_ERR_CANCELLED);
    attempt.candidates = MOST + 1;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_ERR_INTERNAL);
    cara_arena_free(&arena);
    cara_arena_init(&arena, 64);
    attempt.candidates = 1;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_ERR_MEMORY);
    cara_arena_free(&arena);
}

static void english_only_wants_one_row(void **state) {
    (void)state;
    /* Without language and task the sequence is sot alone: its logits are also the last ones. */
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    cara_settings s;
    plain_task(&arena, &s);
    s.task.n_sot_sequence = 1;
    int32_t no_speech = cara_tokenizer_special(tokenizer)->no_speech;
    const arc arcs[] = {{-1, 100, 0.6}, {-1, no_speech, 0.4}};
    fake f = {.arcs = arcs, .n_arcs = 2};
    s.task.sample_len = 1;
    cara_attempt attempt = {.candidates = 1};
    cara_decoding d;
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &d), CARA_OK);
    assert_int_equal(f.n_wanted, 1);
    assert_true(fabs(d.no_speech_prob - 0.4) < 1e-6);
    assert_int_equal(d.tokens[0], 100);
    cara_arena_free(&arena);
}

/* A draft model whose next token depends on the last one, too. */
typedef struct draft_fake {
    cara_backend backend;
    fake table; /* arcs alone */
    size_t positions;
    int encoded, passes;
} draft_fake;

static int draft_encode_window(cara_backend *b, int audio, const float *mel, size_t audio_ctx,
                               cara_error *err) {
    (void)mel, (void)err;
    assert_int_equal(audio, 0);
    assert_int_equal(audio_ctx, 1500);
    ((draft_fake *)b)->encoded++;
    return CARA_OK;
}

static int draft_reserve_slots(cara_backend *b, int first, int n, cara_error *err) {
    (void)b, (void)err;
    assert_int_equal(first, 0);
    assert_int_equal(n, 1);
    return CARA_OK;
}

static void draft_start(cara_backend *b, int slot, int audio) {
    (void)slot, (void)audio;
    ((draft_fake *)b)->positions = 0;
}

static void draft_truncate(cara_backend *b, int slot, size_t length) {
    draft_fake *d = (draft_fake *)b;
    assert_int_equal(slot, 0);
    assert_true(length <= d->positions);
    d->positions = length;
}

static int draft_forward(cara_backend *b, const cara_run *runs, size_t n_runs, const size_t *wanted,
                         size_t n_wanted, float *out, cara_error *err) {
    draft_fake *d = (draft_fake *)b;
    (void)err;
    assert_int_equal(n_runs, 1);
    assert_int_equal(n_wanted, 1);
    assert_int_equal(wanted[0], runs[0].n - 1);
    d->positions += runs[0].n;
    d->passes++;
    logits_after(&d->table, runs[0].tokens[runs[0].n - 1], out);
    return CARA_OK;
}

static void draft_free(cara_backend *b) {
    (void)b; /* on the test's stack */
}

static const cara_backend_ops draft_ops = {.encode_window = draft_encode_window,
                                           .reserve_slots = draft_reserve_slots,
                                           .start = draft_start,
                                           .truncate = draft_truncate,
                                           .forward = draft_forward,
                                           .free = draft_free};

static void a_draft_changes_nothing_but_the_passes(void **state) {
    (void)state;
    enum { N = 20 };
    arc arcs[2 * N + 1];
    for (int i = 0; i < N; i++) {
        int32_t last = i ? 200 + i - 1 : TRANSCRIBE;
        arcs[2 * i] = (arc){last, 200 + i, 0.7};
        arcs[2 * i + 1] = (arc){last, 9, 0.3};
    }
    arcs[2 * N] = (arc){200 + N - 1, EOT, 1};
    static const struct {
        int knows; /* 0: it has no arcs, and proposes what is never accepted */
        int wrong_every;
        int32_t sample_len, n_text_ctx;
        int passes; /* of at most 8 tokens each */
    } cases[] = {
        {1, 0, 224, 448, 3},  /* the prompt gives one token, then 8, 8, 4 */
        {1, 1, 224, 448, 20}, /* always wrong */
        {1, 4, 224, 448, 5},  {0, 0, 224, 448, 20}, {1, 0, 10, 448, 2}, /* cut */
        {1, 0, 224, 14, 2},                                             /* the context is full */
        {1, 3, 224, 14, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 24);
        cara_settings s;
        plain_task(&arena, &s);
        s.task.sample_len = cases[i].sample_len;
        s.task.n_text_ctx = cases[i].n_text_ctx;
        cara_decoding want, got;
        fake f = {.arcs = arcs, .n_arcs = 2 * N + 1, .n_text_ctx = (size_t)cases[i].n_text_ctx};
        cara_attempt attempt = {.candidates = 1};
        assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &want), CARA_OK);
        int passes_alone = f.passes;

        arc proposals[N + 1];
        for (int k = 0; k <= N; k++) {
            int wrong = cases[i].wrong_every && k % cases[i].wrong_every == 0;
            proposals[k] = (arc){arcs[2 * k].after, wrong ? 9 : k < N ? 200 + k : EOT, 1};
        }
        draft_fake d = {.backend = {&draft_ops},
                        .table = {.arcs = proposals, .n_arcs = cases[i].knows ? N + 1 : 0}};
        cara_dims dims = dims_of_test(N_VOCAB);
        assert_int_equal(
            cara_draft_new(&d.backend, &dims, 0.1, CARA_MAX_DRAFT_TOKENS, &attempt.draft, NULL),
            CARA_OK);
        cara_draft_set_window(attempt.draft, NULL, 1500, &s.task.rules);
        assert_int_equal(d.encoded, 0);
        f.passes = 0;
        assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &got), CARA_OK);
        assert_int_equal(d.encoded, 1);
        assert_int_equal(got.n_tokens, want.n_tokens);
        assert_memory_equal(got.tokens, want.tokens, got.n_tokens * sizeof *got.tokens);
        assert_true(got.avg_logprob == want.avg_logprob);
        assert_true(got.no_speech_prob == want.no_speech_prob);
        assert_int_equal(f.passes, cases[i].passes);
        assert_true(f.passes <= passes_alone);
        assert_true(got.drafted_right <= got.drafted);
        assert_true(cases[i].wrong_every != 1 || got.drafted_right == 0);
        assert_true(cases[i].knows || got.drafted_right == 0);

        /* Above temperature 0 it is not asked. */
        attempt.temperature = 0.5;
        d.passes = 0;
        assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &got), CARA_OK);
        assert_int_equal(d.passes, 0);
        cara_draft_free(attempt.draft);
        cara_arena_free(&arena);
    }
}

static void the_language_is_the_likeliest_of_its_tokens(void **state) {
    (void)state;
    int32_t begin = cara_tokenizer_special(tokenizer)->language_begin;
    int32_t es = begin + cara_language_find("es"), fr = begin + cara_language_find("fr");
    const arc arcs[] = {{-1, 100, 50}, {-1, es, 0.3}, {-1, fr, 0.1}};
    fake f = {.arcs = arcs, .n_arcs = 3};
    f.backend.ops = &fake_ops;
    int language = -1;
    double probability = 0;
    assert_int_equal(cara_detect_language(tokenizer, cara_kernels_for(CARA_CPU_SCALAR), &f.backend,
                                          logits, &language, &probability, NULL),
                     CARA_OK);
    assert_string_equal(cara_language_code(language), "es");
    assert_true(fabs(probability - 0.75) < 1e-6);
    assert_int_equal(f.n_prompt, 1);
    assert_int_equal(f.prompt[0], cara_tokenizer_special(tokenizer)->sot);
}

static void text_is_always_valid(void **state) {
    (void)state;
    cara_arena arena;
    cara_arena_init(&arena, 1 << 20);
    /* the ids of single bytes follow GPT-2's order: 0xC3 is 127, 0xB1 109, 0x00 188 */
    const int32_t cases[][3] = {{127, 109, 64}, {127, 64, 109}, {188, 64, 188}};
    static const char *const texts[] = {"\xC3\xB1"
                                        "a",
                                        "\xEF\xBF\xBD"
                                        "a\xEF\xBF\xBD",
                                        "\xEF\xBF\xBD"
                                        "a\xEF\xBF\xBD"};
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(cara_decode_text(tokenizer, cases[i], 3, &arena), texts[i]);
    assert_string_equal(cara_decode_text(tokenizer, NULL, 0, &arena), "");
    cara_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_path),
        cmocka_unit_test(prompts_keep_their_end),
        cmocka_unit_test(endless_text_is_cut),
        cmocka_unit_test(the_best_candidate_is_chosen),
        cmocka_unit_test(equal_seeds_sample_the_same),
        cmocka_unit_test(repetition_raises_the_compression_ratio),
        cmocka_unit_test(stopping_is_passed_on),
        cmocka_unit_test(english_only_wants_one_row),
        cmocka_unit_test(a_draft_changes_nothing_but_the_passes),
        cmocka_unit_test(the_language_is_the_likeliest_of_its_tokens),
        cmocka_unit_test(text_is_always_valid),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
