/* Sessions that share passes, over a backend that records what it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/backend/passes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SESSIONS = 3, SLOTS = 4, N_VOCAB = 2, FAILS = 99 };

/* Logits are the slot times 1,000 and the token. A pass with the token FAILS in it fails. */
typedef struct fake {
    cara_backend backend;
    atomic_int inside;        /* threads in a call: never two */
    int passes[SESSIONS + 1]; /* by how many runs they have */
    int audio, slot, n_slots; /* of the last call that names them */
    cara_backend_stop stop;
} fake;

static void enter(fake *f) {
    assert_int_equal(atomic_fetch_add(&f->inside, 1), 0);
}

static void leave(fake *f) {
    atomic_fetch_sub(&f->inside, 1);
}

static void fake_set_stop(cara_backend *b, cara_backend_stop stop) {
    ((fake *)b)->stop = stop;
}

static int fake_encode_window(cara_backend *b, int audio, const float *mel, size_t audio_ctx,
                              cara_error *err) {
    fake *f = (fake *)b;
    (void)mel, (void)audio_ctx;
    enter(f);
    f->audio = audio;
    int stopped = f->stop.fn && f->stop.fn(f->stop.cookie);
    leave(f);
    return stopped ? cara_fail(err, CARA_ERR_CANCELLED, -1, "stopped") : CARA_OK;
}

static int fake_reserve_slots(cara_backend *b, int first, int n, cara_error *err) {
    fake *f = (fake *)b;
    (void)err;
    f->slot = first;
    f->n_slots = n;
    return CARA_OK;
}

static void fake_start(cara_backend *b, int slot, int audio) {
    fake *f = (fake *)b;
    enter(f);
    f->slot = slot;
    f->audio = audio;
    leave(f);
}

static void fake_finish(cara_backend *b, int slot) {
    (void)b, (void)slot;
}

static void fake_truncate(cara_backend *b, int slot, size_t length) {
    (void)length;
    ((fake *)b)->slot = slot;
}

static void fake_fork(cara_backend *b, int from, int first, int n) {
    fake *f = (fake *)b;
    assert_int_equal(from, first);
    f->slot = first;
    f->n_slots = n;
}

static void fake_reorder(cara_backend *b, int first, const int *source, int n) {
    fake *f = (fake *)b;
    (void)source;
    f->slot = first;
    f->n_slots = n;
}

static int fake_forward(cara_backend *b, const cara_run *runs, size_t n_runs, const size_t *wanted,
                        size_t n_wanted, float *logits, cara_error *err) {
    fake *f = (fake *)b;
    size_t fed = 0, at = 0;
    int rc = CARA_OK;
    enter(f);
    f->passes[n_runs]++;
    for (size_t i = 0; i < n_runs; i++)
        for (size_t t = 0; t < runs[i].n; t++, fed++) {
            if (runs[i].tokens[t] == FAILS)
                rc = cara_fail(err, CARA_ERR_USAGE, -1, "slot %d fails", runs[i].slot);
            if (at < n_wanted && wanted[at] == fed)
                logits[at++ * N_VOCAB] = (float)(runs[i].slot * 1000 + runs[i].tokens[t]);
        }
    assert_int_equal(at, n_wanted);
    leave(f);
    return rc;
}

static int fake_align(cara_backend *b, const cara_run *run, const size_t *wanted, size_t n_wanted,
                      float *logits, const cara_alignment *alignment, cara_error *err) {
    alignment->scores[0] = (float)run->slot;
    return fake_forward(b, run, 1, wanted, n_wanted, logits, err);
}

static void fake_free(cara_backend *b) {
    ((fake *)b)->slot = -1; /* it is on the test's stack */
}

static const cara_backend_ops fake_ops = {.set_stop = fake_set_stop,
                                          .encode_window = fake_encode_window,
                                          .reserve_slots = fake_reserve_slots,
                                          .start = fake_start,
                                          .finish = fake_finish,
                                          .truncate = fake_truncate,
                                          .fork = fake_fork,
                                          .reorder = fake_reorder,
                                          .forward = fake_forward,
                                          .align = fake_align,
                                          .free = fake_free};

/* One session's thread: `steps` tokens, of which `fails_at` fails and before `stops_at` it is
 * stopped (-1: none). */
typedef struct session {
    cara_backend *backend;
    pthread_barrier_t *started;
    pthread_t thread;
    int index, steps, fails_at, stops_at;
    int step;      /* the one at hand */
    int rc, wrong; /* of the step that failed; steps with logits of another session */
} session;

static int stop_session(void *cookie) {
    const session *s = cookie;
    return s->step == s->stops_at;
}

static void *decode(void *ctx) {
    session *s = ctx;
    float logits[2 * N_VOCAB];
    s->backend->ops->set_stop(s->backend, (cara_backend_stop){stop_session, s});
    s->backend->ops->start(s->backend, 0, 0);
    pthread_barrier_wait(s->started); /* so that all passes but the last ones are shared */
    for (s->step = 0; s->step < s->steps && !s->rc; s->step++) {
        int32_t tokens[2] = {7, s->step == s->fails_at ? FAILS : 10 + s->step % 50};
        const cara_run run = {1, tokens, 2};
        const size_t wanted[2] = {0, 1};
        cara_error err = {.code = CARA_OK};
        s->rc = s->backend->ops->forward(s->backend, &run, 1, wanted, 2, logits, &err);
        float first = (float)((s->index * SLOTS + 1) * 1000);
        if (!s->rc)
            s->wrong += logits[0] != first + 7 || logits[N_VOCAB] != first + (float)tokens[1];
        else if ((int)err.code != s->rc)
            s->wrong++;
    }
    s->backend->ops->finish(s->backend, 0);
    return NULL;
}

/* Runs the sessions to their ends; the fake has counted their passes. */
static void decode_together(fake *f, session *sessions, int n) {
    pthread_barrier_t started;
    f->backend.ops = &fake_ops;
    cara_passes *passes = cara_passes_new(&f->backend, SESSIONS, SLOTS, N_VOCAB);
    assert_non_null(passes);
    assert_int_equal(pthread_barrier_init(&started, NULL, (unsigned)n), 0);
    for (int i = 0; i < n; i++) {
        sessions[i].backend = cara_passes_session(passes, i);
        sessions[i].started = &started;
        sessions[i].index = i;
        assert_int_equal(pthread_create(&sessions[i].thread, NULL, decode, &sessions[i]), 0);
    }
    for (int i = 0; i < n; i++) {
        assert_int_equal(pthread_join(sessions[i].thread, NULL), 0);
        assert_int_equal(sessions[i].wrong, 0);
    }
    assert_int_equal(pthread_barrier_destroy(&started), 0);
    cara_passes_free(passes);
    assert_int_equal(f->slot, -1); /* freed with it */
}

static void a_pass_serves_all_that_decode(void **state) {
    (void)state;
    fake f = {.slot = 0};
    session sessions[SESSIONS] = {{.steps = 50, .fails_at = -1, .stops_at = -1},
                                  {.steps = 60, .fails_at = -1, .stops_at = -1},
                                  {.steps = 55, .fails_at = -1, .stops_at = -1}};
    decode_together(&f, sessions, SESSIONS);
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(sessions[i].rc, CARA_OK);
    assert_int_equal(f.passes[3], 50);
    assert_int_equal(f.passes[2], 5);
    assert_int_equal(f.passes[1], 5);
}

static void a_failure_is_of_one_session_alone(void **state) {
    (void)state;
    fake f = {.slot = 0};
    session sessions[SESSIONS] = {{.steps = 20, .fails_at = -1, .stops_at = -1},
                                  {.steps = 20, .fails_at = 5, .stops_at = -1},
                                  {.steps = 20, .fails_at = -1, .stops_at = -1}};
    decode_together(&f, sessions, SESSIONS);
    assert_int_equal(sessions[0].rc, CARA_OK);
    assert_int_equal(sessions[1].rc, CARA_ERR_USAGE);
    assert_int_equal(sessions[2].rc, CARA_OK);
    assert_int_equal(f.passes[3], 6); /* the last of them failed and was run for each alone */
    assert_int_equal(f.passes[1], 3);
    assert_int_equal(f.passes[2], 14);
}

static void a_stop_is_of_one_session_alone(void **state) {
    (void)state;
    fake f = {.slot = 0};
    session sessions[2] = {{.steps = 20, .fails_at = -1, .stops_at = 3},
                           {.steps = 20, .fails_at = -1, .stops_at = -1}};
    decode_together(&f, sessions, 2);
    assert_int_equal(sessions[0].rc, CARA_ERR_CANCELLED);
    assert_int_equal(sessions[1].rc, CARA_OK);
    assert_int_equal(f.passes[2], 3);
    assert_int_equal(f.passes[1], 17);
    assert_null(f.stop.fn); /* a shared pass is stopped by none */
}

static void slots_and_audios_are_the_session_s_own(void **state) {
    (void)state;
    fake f = {.backend = {&fake_ops}};
    cara_passes *passes = cara_passes_new(&f.backend, SESSIONS, SLOTS, N_VOCAB);
    assert_non_null(passes);
    cara_backend *b = cara_passes_session(passes, 2);
    const int source[2] = {1, 0};
    const int32_t token = 5;
    float logits[N_VOCAB], score = 0;
    size_t wanted = 0;
    cara_error err;
    session stopped = {.step = 1, .stops_at = 1};
    assert_int_equal(b->ops->encode_window(b, 0, NULL, 1500, &err), CARA_OK);
    assert_int_equal(f.audio, 2);
    b->ops->set_stop(b, (cara_backend_stop){stop_session, &stopped});
    assert_int_equal(b->ops->encode_window(b, 0, NULL, 1500, &err), CARA_ERR_CANCELLED);
    assert_null(f.stop.fn);
    b->ops->set_stop(b, (cara_backend_stop){NULL, NULL});
    assert_int_equal(b->ops->reserve_slots(b, 1, 3, &err), CARA_OK);
    assert_int_equal(f.slot, 2 * SLOTS + 1);
    assert_int_equal(f.n_slots, 3);
    b->ops->start(b, 1, 0);
    assert_int_equal(f.slot, 2 * SLOTS + 1);
    assert_int_equal(f.audio, 2);
    b->ops->fork(b, 0, 0, 2);
    assert_int_equal(f.slot, 2 * SLOTS);
    b->ops->reorder(b, 1, source, 2);
    assert_int_equal(f.slot, 2 * SLOTS + 1);
    b->ops->truncate(b, 3, 0);
    assert_int_equal(f.slot, 2 * SLOTS + 3);
    const cara_alignment alignment = {NULL, 0, &score};
    assert_int_equal(
        b->ops->align(b, &(cara_run){1, &token, 1}, &wanted, 1, logits, &alignment, &err), CARA_OK);
    assert_true(score == 2 * SLOTS + 1);
    assert_true(logits[0] == (2 * SLOTS + 1) * 1000 + 5);
    b->ops->finish(b, 1);
    b->ops->free(b);
    cara_passes_free(passes);

    cara_backend_ops without = fake_ops;
    without.align = NULL;
    f.backend.ops = &without;
    passes = cara_passes_new(&f.backend, SESSIONS, SLOTS, N_VOCAB);
    assert_non_null(passes);
    assert_null(cara_passes_session(passes, 0)->ops->align);
    cara_passes_free(passes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_serves_all_that_decode),
        cmocka_unit_test(a_failure_is_of_one_session_alone),
        cmocka_unit_test(a_stop_is_of_one_session_alone),
        cmocka_unit_test(slots_and_audios_are_the_session_s_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
