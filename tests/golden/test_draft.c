/* Speculative decoding: whatever a draft model says, the result is the same; only how often it was
 * right differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model.h"
#include "npy.h"
#include "whisper/decoding/draft.h"

#include <caracola/caracola.h>

#include <unistd.h>

static cara_model *nano, *demo, *noise, *other;
static char vocab[4096], folder[] = "/tmp/caracola-draft-XXXXXX", noise_path[64], other_path[64];

static int make(const char *shape, const char *path, const char *vocab_path, cara_model **out) {
    cara_error err;
    cara_write_options options = {.storage = CARA_STORAGE_INT8};
    if (cara_model_write_random(shape, 1, &options, path, &err) == CARA_OK &&
        cara_model_open(path, vocab_path, out, &err) == CARA_OK)
        return 0;
    print_error("%s\n", err.text);
    return -1;
}

static int open_all(void **state) {
    (void)state;
    cara_error err;
    char path[4096];
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    snprintf(vocab, sizeof vocab, "%s", fixture("nano/nano.tiktoken"));
    snprintf(path, sizeof path, "%s/models/demo.cara", root ? root : ".");
    if (cara_model_open(fixture("nano/nano.pt"), vocab, &nano, &err) ||
        cara_model_open(path, vocab, &demo, &err) || !mkdtemp(folder)) {
        print_error("%s\n", err.text);
        return -1;
    }
    snprintf(noise_path, sizeof noise_path, "%s/tiny.cara", folder);
    snprintf(other_path, sizeof other_path, "%s/tiny.en.cara", folder);
    /* Random weights with nano's vocabulary; and ones with another. */
    return make("tiny", noise_path, vocab, &noise) || make("tiny.en", other_path, NULL, &other) ? -1
                                                                                                : 0;
}

static int close_all(void **state) {
    (void)state;
    cara_model_close(nano);
    cara_model_close(demo);
    cara_model_close(noise);
    cara_model_close(other);
    unlink(noise_path);
    unlink(other_path);
    rmdir(folder);
    return 0;
}

static cara_result *transcribe(cara_session *session, const npy *pcm, const cara_options *options) {
    cara_error err = {0};
    cara_result *result = NULL;
    cara_pcm_memory memory = {.pcm = pcm->data, .n = pcm->count};
    if (cara_transcribe(session, cara_pcm_memory_source(&memory), options, &result, &err))
        fail_msg("%s", err.text);
    return result;
}

static int same_number(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

static void same(const cara_result *a, const cara_result *b) {
    assert_string_equal(a->text, b->text);
    assert_string_equal(a->language, b->language);
    assert_int_equal(a->n_segments, b->n_segments);
    for (size_t i = 0; i < a->n_segments; i++) {
        const cara_segment *x = &a->segments[i], *y = &b->segments[i];
        assert_int_equal(x->n_tokens, y->n_tokens);
        assert_memory_equal(x->tokens, y->tokens, x->n_tokens * sizeof *x->tokens);
        assert_true(x->start == y->start && x->end == y->end && x->seek == y->seek);
        assert_true(x->temperature == y->temperature);
        assert_true(same_number(x->avg_logprob, y->avg_logprob));
        assert_true(same_number(x->no_speech_prob, y->no_speech_prob));
        assert_true(same_number(x->compression_ratio, y->compression_ratio));
    }
}

enum { PLAIN, NO_TIMES, PROMPT, SHORT, FALLBACK, KINDS };

static void options_of(int kind, cara_options *o) {
    cara_options_default(o, sizeof *o);
    o->language = kind == PLAIN ? NULL : "es";
    o->n_temperatures = kind == FALLBACK ? 3 : 1;
    o->without_timestamps = kind == NO_TIMES;
    o->initial_prompt =
        kind == PROMPT ? "Reporte de pesca ilegal en la bahía, con dos lanchas" : NULL;
    o->sample_len = kind == SHORT ? 5 : 0;
    if (kind == FALLBACK) {
        o->logprob_threshold = -1e-6; /* nothing is good enough: on to sampling */
        o->best_of = 2;
        o->seed = 3;
        o->sample_len = 12;
    }
}

static void a_draft_model_does_not_change_the_transcript(void **state) {
    (void)state;
    static const char *const notes[] = {"es-01", "en-03", "blip-0.3s"};
    const struct {
        const cara_model *model, *draft;
        const char *type;
        int tokens;
        double least, most; /* part of its tokens that are accepted */
    } cases[] = {
        {nano, nano, "float32", 7, 1, 1}, {nano, nano, "float32", 1, 1, 1},
        {nano, nano, "int8", 4, 1, 1},    {nano, noise, "float32", 7, 0, 0.1},
        {nano, noise, "int8", 2, 0, 0.1}, {nano, demo, "int8", 3, 0.8, 1},
        {nano, demo, "float32", 0, 0, 1}, {noise, nano, NULL, 5, 0, 0.3},
        {noise, noise, NULL, 7, 1, 1},
    };
    for (size_t n = 0; n < sizeof notes / sizeof *notes; n++) {
        char name[64];
        snprintf(name, sizeof name, "golden/stages/%s.pcm.npy", notes[n]);
        npy pcm = npy_read(name);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            cara_session_options so = {.struct_size = sizeof so, .compute_type = cases[i].type};
            cara_session *with, *without;
            cara_error err;
            size_t drafted = 0, right = 0;
            if (cara_session_new(cases[i].model, &so, &without, &err))
                fail_msg("%s", err.text);
            so.draft_model = cases[i].draft;
            so.draft_tokens = cases[i].tokens;
            if (cara_session_new(cases[i].model, &so, &with, &err))
                fail_msg("%s", err.text);
            if (n && cases[i].type == NULL)
                continue; /* the text of random weights does not depend on the audio */
            int all = n == 0 && i < 3;
            for (int kind = all ? 0 : (int)(i + n) % KINDS; kind < KINDS; kind += all ? 1 : KINDS) {
                cara_options o;
                options_of(kind, &o);
                if (cases[i].model == noise && !o.sample_len)
                    o.sample_len = 24; /* it never ends */
                cara_result *want = transcribe(without, &pcm, &o),
                            *got = transcribe(with, &pcm, &o);
                same(want, got);
                assert_int_equal(want->drafted, 0);
                assert_true(want->timings.draft_s == 0);
                assert_true(got->drafted_right <= got->drafted);
                assert_true(!got->drafted || got->timings.draft_s > 0);
                drafted += got->drafted;
                right += got->drafted_right;
                cara_result_free(want);
                cara_result_free(got);
            }
            print_message("%s, case %zu: %zu of %zu draft tokens accepted\n", notes[n], i, right,
                          drafted);
            if (n == 0 && cases[i].tokens) {
                assert_true(drafted >= 3);
                assert_true((double)right >= cases[i].least * (double)drafted);
                assert_true((double)right <= cases[i].most * (double)drafted);
            }
            cara_session_free(with);
            cara_session_free(without);
        }
        npy_free(&pcm);
    }
}

static void unsuitable_draft_options_are_refused(void **state) {
    (void)state;
    cara_error err;
    cara_session *session;
    cara_session_options so = {.struct_size = sizeof so, .draft_model = other};
    assert_int_equal(cara_session_new(nano, &so, &session, &err), CARA_ERR_VOCAB);
    assert_null(session);
    assert_non_null(strstr(err.text, "51864"));
    so = (cara_session_options){
        .struct_size = sizeof(cara_session_options), .draft_model = demo, .draft_tokens = 8};
    assert_int_equal(cara_session_new(nano, &so, &session, &err), CARA_ERR_USAGE);
    so.draft_tokens = -1;
    assert_int_equal(cara_session_new(nano, &so, &session, &err), CARA_ERR_USAGE);
    assert_null(session);
}

static void draft_length_maximises_tokens_per_cost(void **state) {
    (void)state;
    static const struct {
        double chance, step;
        size_t most, want;
    } cases[] = {
        {1, 0.1, 7, 7}, {1, 0.1, 3, 3},    {1, 0.1, 0, 0},   {0, 0.01, 7, 0},    {0.5, 0.5, 7, 0},
        {0.9, 1, 7, 0}, {0.8, 0.05, 7, 5}, {0.8, 0.3, 7, 2}, {0.95, 0.05, 7, 7}, {0.05, 0.01, 7, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(cara_draft_length(cases[i].chance, cases[i].step, cases[i].most),
                         cases[i].want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_model_does_not_change_the_transcript),
        cmocka_unit_test(unsuitable_draft_options_are_refused),
        cmocka_unit_test(draft_length_maximises_tokens_per_cost),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
