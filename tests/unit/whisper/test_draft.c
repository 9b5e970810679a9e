/* A draft model over handmade logits: it changes the passes, not the result, and can be stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "table_backend.h"

/* A draft model whose next token depends on the last one, too. */
typedef struct draft_fake {
    cara_backend backend;
    fake table; /* arcs alone */
    size_t positions;
    int encoded, passes, windows_open;
    cara_backend_stop stop;
} draft_fake;

static int draft_encode_window(cara_backend *b, int audio, const float *mel, size_t audio_ctx,
                               cara_error *err) {
    (void)mel;
    assert_int_equal(audio, 0);
    assert_int_equal(audio_ctx, 1500);
    draft_fake *d = (draft_fake *)b;
    if (d->stop.fn && d->stop.fn(d->stop.cookie))
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped");
    d->encoded++;
    return CARA_OK;
}

static int draft_reserve_slots(cara_backend *b, int first, int n, cara_error *err) {
    (void)b, (void)err;
    assert_int_equal(first, 0);
    assert_int_equal(n, 1);
    return CARA_OK;
}

static void draft_start(cara_backend *b, int slot, int audio) {
    draft_fake *d = (draft_fake *)b;
    assert_int_equal(slot, 0);
    assert_int_equal(audio, 0);
    d->positions = 0;
    d->windows_open++;
}

static void draft_finish(cara_backend *b, int slot) {
    assert_int_equal(slot, 0);
    ((draft_fake *)b)->windows_open--;
}

static void draft_set_stop(cara_backend *b, cara_backend_stop stop) {
    ((draft_fake *)b)->stop = stop;
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
                                           .set_stop = draft_set_stop,
                                           .start = draft_start,
                                           .finish = draft_finish,
                                           .truncate = draft_truncate,
                                           .forward = draft_forward,
                                           .free = draft_free};

static void a_draft_changes_only_the_number_of_passes(void **state) {
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
        assert_int_equal(d.windows_open, 0);
        cara_arena_free(&arena);
    }
}

static int stop_at_once(void *cookie) {
    ++*(int *)cookie;
    return 1;
}

/* The draft's work is stopped as the model's is. */
static void a_draft_can_be_stopped(void **state) {
    (void)state;
    static const arc arcs[] = {{-1, 100, 1}};
    int polled = 0;
    cara_arena arena;
    cara_arena_init(&arena, 1 << 24);
    cara_settings s;
    plain_task(&arena, &s);
    fake f = {.arcs = arcs, .n_arcs = 1};
    draft_fake d = {.backend = {&draft_ops}, .table = {.arcs = arcs, .n_arcs = 1}};
    cara_attempt attempt = {.candidates = 1};
    cara_dims dims = dims_of_test(N_VOCAB);
    cara_decoding decoding;
    assert_int_equal(cara_draft_new(&d.backend, &dims, 0.1, 4, &attempt.draft, NULL), CARA_OK);
    cara_draft_set_window(attempt.draft, NULL, 1500, &s.task.rules);
    cara_draft_set_stop(attempt.draft, (cara_backend_stop){stop_at_once, &polled});
    assert_int_equal(decode(&f, &s.task, &attempt, 0, &arena, &decoding), CARA_ERR_CANCELLED);
    assert_int_equal(polled, 1);
    assert_int_equal(d.encoded, 0);
    cara_draft_free(attempt.draft);
    cara_draft_set_stop(NULL, (cara_backend_stop){NULL, NULL});
    cara_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_changes_only_the_number_of_passes),
        cmocka_unit_test(a_draft_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
