/* Processes that die in the middle, and processes that do the same at the same time. */
#include "base/clock.h"
#include "fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VOICE "2025-10-15/525550100150-01-10-12-v0_7DB1kZmz.json"

static void put_audios(fixture *f) {
    fixture_media(f, "1908647269898587.ogg", "OggS", 4);
    fixture_media(f, "1908647269898588.ogg", "OggS", 4);
}

/* A child process with a store of its own handles the batch and the two notes. */
static pid_t start_child(fixture *f, const char *event) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child)
        return child;
    if (cara_store_open_folder(f->store_path, &f->pipeline.store, NULL))
        _exit(99);
    fixture_event(f, event);
    _exit(f->n_transcribed);
}

static void check_all_there(fixture *f) {
    assert_int_equal(fixture_count(f, 'r'), 5);
    assert_int_equal(fixture_count(f, 'm'), 1);
    assert_int_equal(fixture_count(f, 'q'), 0);
    assert_int_equal(fixture_count(f, 't'), 0);
    json_t *r = fixture_record(f, VOICE);
    assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga");
    json_decref(r);
}

/* Nanoseconds that a child takes which is not killed, so that kills fall into its work on a machine
 * of any speed. */
static long undisturbed(void) {
    void *own = NULL;
    assert_int_equal(fixture_setup(&own), 0);
    fixture *f = own;
    put_audios(f);
    f->busy_ms = 3;
    double start = cara_clock_monotonic();
    pid_t child = start_child(f, "06-batch-multi-message");
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    long took = (long)((cara_clock_monotonic() - start) * 1e9);
    assert_int_equal(fixture_teardown(&own), 0);
    return took < 900000000L ? took : 900000000L;
}

static void killed_handlers_lose_no_message(void **state) {
    unsigned seed = 2025;
    int unfinished = 0;
    long longest = undisturbed();
    for (int round = 0; round < 40; round++) {
        void *own = NULL;
        assert_int_equal(fixture_setup(&own), 0);
        fixture *f = own;
        put_audios(f);
        f->busy_ms = 3;
        for (int tries = 0; tries < 3; tries++) {
            pid_t child = start_child(f, "06-batch-multi-message");
            seed = seed * 1103515245u + 12345u;
            /* Early ones more often: a later try finds work done, and takes less. */
            double part = (double)((seed >> 8) % 1000) / 1000;
            struct timespec t = {0, (long)((double)longest * part * part)};
            nanosleep(&t, NULL);
            kill(child, SIGKILL);
            int status = 0;
            assert_int_equal(waitpid(child, &status, 0), child);
            unfinished += WIFSIGNALED(status);
            assert_true(fixture_count(f, 'r') <= 5); /* and every path is legal */
        }
        f->busy_ms = 0;
        fixture_event(f, "06-batch-multi-message");
        check_all_there(f);
        fixture_event(f, "06-batch-multi-message");
        assert_int_equal(f->summary.by_outcome[CARA_OUTCOME_ALREADY], 5);
        assert_true(f->n_transcribed <= 1);
        assert_int_equal(fixture_teardown(&own), 0);
    }
    print_message("%d of 120 were killed before their end\n", unfinished);
    assert_true(unfinished > 20);
}

static void two_concurrent_handlers_transcribe_once(void **state) {
    for (int round = 0; round < 20; round++) {
        void *own = NULL;
        assert_int_equal(fixture_setup(&own), 0);
        fixture *f = own;
        put_audios(f);
        f->busy_ms = 5;
        pid_t children[3];
        for (int i = 0; i < 3; i++)
            children[i] = start_child(f, "06-batch-multi-message");
        int transcribed = 0;
        for (int i = 0; i < 3; i++) {
            int status = 0;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_true(WIFEXITED(status));
            assert_int_not_equal(WEXITSTATUS(status), 99);
            transcribed += WEXITSTATUS(status);
        }
        assert_int_equal(transcribed, 1);
        check_all_there(f);
        assert_int_equal(fixture_teardown(&own), 0);
    }
}

/* The process that transcribes is killed; the one that waits for it gets the claim. */
static void a_waiting_process_gets_the_claim(void **state) {
    fixture *f = *state;
    put_audios(f);
    f->busy_ms = 60000;
    pid_t first = start_child(f, "02-voice-note");
    struct timespec t = {0, 200000000};
    nanosleep(&t, NULL);
    f->busy_ms = 0;
    pid_t second = start_child(f, "02-voice-note");
    nanosleep(&t, NULL);
    int status = 0;
    assert_int_equal(waitpid(second, &status, WNOHANG), 0); /* it waits */
    kill(first, SIGKILL);
    assert_int_equal(waitpid(first, NULL, 0), first);
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(fixture_count(f, 0), 2);
    json_t *r = fixture_record(f, VOICE);
    assert_string_equal(fixture_at(r, "transcription.text"), " hay una panga");
    json_decref(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_handlers_lose_no_message),
        cmocka_unit_test(two_concurrent_handlers_transcribe_once),
        cmocka_unit_test_setup_teardown(a_waiting_process_gets_the_claim, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
