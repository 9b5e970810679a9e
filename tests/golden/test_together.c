/* Several audios at once: each result is the one that its session would give alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "npy.h"

#include <caracola/caracola.h>
#include <pthread.h>

enum { SESSIONS = 4, JOBS = 10 };

static const char *const audios[] = {"es-01", "en-00", "es-02", "en-03", "noise-8s"};
enum { AUDIOS = sizeof audios / sizeof *audios };

static cara_model *model;
static npy pcm[AUDIOS];

static int open_all(void **state) {
    (void)state;
    cara_error err;
    char vocab[4096], name[128];
    snprintf(vocab, sizeof vocab, "%s", fixture("nano/nano.tiktoken"));
    if (cara_model_open(fixture("nano/nano.pt"), vocab, &model, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    for (int i = 0; i < AUDIOS; i++) {
        snprintf(name, sizeof name, "golden/stages/%s.pcm.npy", audios[i]);
        pcm[i] = npy_read(name);
    }
    return 0;
}

static int close_all(void **state) {
    (void)state;
    for (int i = 0; i < AUDIOS; i++)
        npy_free(&pcm[i]);
    cara_model_close(model);
    return 0;
}

typedef struct job {
    int audio;
    const char *language;
    double temperature;
    int best_of, beam_size, sample_len, word_timestamps;
    int64_t stop_at; /* call of the progress function; 0: never */
    int64_t calls;
    int rc;
    cara_result *result;
} job;

static int progress(void *cookie, int64_t done, int64_t total) {
    job *j = cookie;
    (void)done, (void)total;
    return ++j->calls == j->stop_at;
}

static void transcribe(cara_session *session, job *j) {
    cara_options options;
    cara_options_default(&options, sizeof options);
    options.language = j->language;
    options.temperature[0] = j->temperature;
    options.n_temperatures = 1;
    options.best_of = j->best_of;
    options.beam_size = j->beam_size;
    options.word_timestamps = j->word_timestamps;
    options.sample_len = j->sample_len;
    options.seed = 7;
    options.progress = progress;
    options.cookie = j;
    cara_pcm_memory memory = {.pcm = pcm[j->audio].data, .n = pcm[j->audio].count};
    j->rc = cara_transcribe(session, cara_pcm_memory_source(&memory), &options, &j->result, NULL);
}

/* What is different from one to the next: languages found and given, greedy, sampled and by beam
 * search, with and without the times of words, more candidates than the common decoder takes from
 * one session. */
static void fill(job *jobs) {
    for (int i = 0; i < JOBS; i++)
        jobs[i] = (job){.audio = i % AUDIOS, .language = i % 3 ? "es" : NULL};
    jobs[3].temperature = 2.5;
    jobs[3].best_of = 3;
    jobs[3].sample_len = 20;
    jobs[1].beam_size = 5;
    jobs[1].word_timestamps = jobs[2].word_timestamps = jobs[7].word_timestamps = 1;
    jobs[5].beam_size = 2;
    jobs[6].temperature = 2.5;
    jobs[6].best_of = 9;
    jobs[6].sample_len = 12;
}

typedef struct queue {
    pthread_mutex_t lock;
    job *jobs;
    int next;
} queue;

typedef struct worker {
    pthread_t id;
    cara_session *session;
    queue *queue;
} worker;

static void *work(void *ctx) {
    worker *w = ctx;
    for (;;) {
        pthread_mutex_lock(&w->queue->lock);
        int at = w->queue->next++;
        pthread_mutex_unlock(&w->queue->lock);
        if (at >= JOBS)
            return NULL;
        transcribe(w->session, &w->queue->jobs[at]);
    }
}

static void transcribe_together(job *jobs, const cara_session_options *options, int threads) {
    cara_session *sessions[SESSIONS];
    worker workers[SESSIONS];
    cara_error err;
    queue q = {.jobs = jobs};
    pthread_mutex_init(&q.lock, NULL);
    if (cara_sessions_new(model, options, SESSIONS, sessions, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){.session = sessions[i], .queue = &q};
        assert_int_equal(pthread_create(&workers[i].id, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(workers[i].id, NULL);
    for (int i = 0; i < SESSIONS; i++)
        cara_session_free(sessions[i]);
    pthread_mutex_destroy(&q.lock);
}

static void same(const cara_result *a, const cara_result *b) {
    assert_string_equal(a->text, b->text);
    assert_string_equal(a->language, b->language);
    assert_int_equal(a->n_segments, b->n_segments);
    for (size_t i = 0; i < a->n_segments; i++) {
        const cara_segment *s = &a->segments[i], *t = &b->segments[i];
        assert_true(s->start == t->start && s->end == t->end);
        assert_true(s->avg_logprob == t->avg_logprob);
        assert_true(s->no_speech_prob == t->no_speech_prob);
        assert_int_equal(s->n_tokens, t->n_tokens);
        if (s->n_tokens)
            assert_memory_equal(s->tokens, t->tokens, s->n_tokens * sizeof *s->tokens);
        assert_int_equal(s->n_words, t->n_words);
        for (size_t k = 0; k < s->n_words; k++) {
            const cara_word *w = &s->words[k], *v = &t->words[k];
            assert_string_equal(w->word, v->word);
            assert_true(w->start == v->start && w->end == v->end);
            assert_true(w->probability == v->probability);
        }
    }
}

static void free_results(job *jobs) {
    for (int i = 0; i < JOBS; i++)
        cara_result_free(jobs[i].result);
}

static void check(const char *type) {
    static job alone[JOBS], together[JOBS];
    cara_session_options options = {
        .struct_size = sizeof options, .compute_type = type, .threads = 2};
    cara_session *session;
    assert_int_equal(cara_session_new(model, &options, &session, NULL), CARA_OK);
    fill(alone);
    size_t spoken = 0;
    for (int i = 0; i < JOBS; i++) {
        transcribe(session, &alone[i]);
        assert_int_equal(alone[i].rc, CARA_OK);
        spoken += strlen(alone[i].result->text);
    }
    cara_session_free(session);
    assert_true(spoken > 300);
    for (int threads = 1; threads <= SESSIONS; threads += 3) {
        fill(together);
        transcribe_together(together, &options, threads);
        for (int i = 0; i < JOBS; i++) {
            assert_int_equal(together[i].rc, CARA_OK);
            same(alone[i].result, together[i].result);
        }
        free_results(together);
    }

    /* One that is stopped stops alone. */
    fill(together);
    together[1].stop_at = alone[1].calls / 2;
    together[4].stop_at = 1;
    transcribe_together(together, &options, SESSIONS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(together[i].rc, CARA_OK);
        assert_int_equal(together[i].result->cut_short, i == 1 || i == 4);
        if (i != 1 && i != 4)
            same(alone[i].result, together[i].result);
    }
    assert_int_equal(together[4].calls, 1);
    free_results(together);
    free_results(alone);
}

static void float_results_are_those_of_each_alone(void **state) {
    (void)state;
    check("float32");
}

static void int8_results_are_those_of_each_alone(void **state) {
    (void)state;
    check("int8");
}

static void bad_numbers_are_refused(void **state) {
    (void)state;
    cara_session *sessions[CARA_MAX_SESSIONS + 1];
    cara_error err;
    static const int bad[] = {-1, 0, CARA_MAX_SESSIONS + 1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(cara_sessions_new(model, NULL, bad[i], sessions, &err), CARA_ERR_USAGE);
        assert_non_null(strstr(err.text, "1 to 16 sessions"));
    }
    cara_session_options level = {.struct_size = sizeof level, .cpu_level = "mmx"};
    assert_int_equal(cara_sessions_new(model, &level, 3, sessions, &err), CARA_ERR_CPU);
    assert_null(sessions[0]);
    assert_null(sessions[2]);
    assert_int_equal(cara_sessions_new(model, NULL, CARA_MAX_SESSIONS, sessions, &err), CARA_OK);
    for (int i = 0; i < CARA_MAX_SESSIONS; i++)
        cara_session_free(sessions[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_results_are_those_of_each_alone),
        cmocka_unit_test(int8_results_are_those_of_each_alone),
        cmocka_unit_test(bad_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
