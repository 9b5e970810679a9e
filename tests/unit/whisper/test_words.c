/* Word times against openai/whisper's own functions; see tests/data/words/make.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "whisper/words/alignment.h"
#include "whisper/words/hallucination.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *cases;
static cara_arena arena; /* of one case */

static int open_cases(void **state) {
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/data/words/cases.json", getenv("CARACOLA_SOURCE_DIR"));
    cases = json_load_file(path, 0, NULL);
    cara_arena_init(&arena, 1 << 24);
    return cases ? 0 : -1;
}

static int close_cases(void **state) {
    (void)state;
    json_decref(cases);
    return 0;
}

static const json_t *at(const json_t *array, size_t i) {
    const json_t *value = json_array_get(array, i);
    assert_non_null(value);
    return value;
}

static const json_t *member(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    if (!value)
        fail_msg("the case has no %s", name);
    return value;
}

static size_t count(const json_t *object, const char *name) {
    return (size_t)json_integer_value(member(object, name));
}

static double number(const json_t *object, const char *name) {
    return json_number_value(member(object, name));
}

static float *floats(const json_t *array) {
    size_t n = json_array_size(array);
    float *out = cara_arena_alloc(&arena, n + 1, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)json_number_value(at(array, i));
    return out;
}

static void is_near(double got, double expected, double tolerance, size_t i, const char *what) {
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("case %zu: %s is %.9g, expected %.9g", i, what, got, expected);
}

static void attention_is_normalised_and_filtered(void **state) {
    (void)state;
    size_t i, checked = 0;
    json_t *c;
    json_array_foreach(member(cases, "attention"), i, c) {
        for (int level = 0; level < CARA_CPU_LEVELS; level++) {
            if (!cara_cpu_has((cara_cpu_level)level))
                continue;
            size_t tokens = count(c, "tokens"), used = count(c, "used");
            const json_t *expected = member(c, "sum");
            float *sum = cara_arena_alloc(&arena, tokens * used, sizeof *sum);
            float *scratch =
                cara_arena_alloc(&arena, CARA_ALIGNMENT_SCRATCH(used), sizeof *scratch);
            cara_alignment_add(cara_kernels_for((cara_cpu_level)level), floats(member(c, "scores")),
                               count(c, "heads"), tokens, count(c, "positions"), used, scratch,
                               sum);
            assert_int_equal(json_array_size(expected), tokens * used);
            for (size_t k = 0; k < tokens * used; k++) {
                const json_t *want = at(expected, k);
                if (json_is_null(want)) /* one position: its weights are 1, their spread is 0 */
                    assert_true(isnan(sum[k]));
                else
                    is_near(sum[k], json_number_value(want),
                            1e-3 * (1 + fabs(json_number_value(want))), i, "the sum");
            }
            checked++;
            cara_arena_free(&arena);
        }
    }
    assert_true(checked >= 7);
}

static void the_path_is_that_of_dtw(void **state) {
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(member(cases, "paths"), i, c) {
        size_t tokens = count(c, "tokens"), starts[16];
        const json_t *expected = member(c, "starts");
        assert_true(tokens <= 16 && json_array_size(expected) == tokens);
        assert_int_equal(cara_alignment_path(floats(member(c, "matrix")), tokens,
                                             count(c, "positions"), &arena, starts),
                         0);
        for (size_t k = 0; k < tokens; k++)
            is_near((double)starts[k], json_number_value(at(expected, k)), 0, i, "a start");
        cara_arena_free(&arena);
    }
    assert_true(i >= 8);
    /* What no number compares with leads to the borders, and not out of the matrix. */
    float nan[12];
    size_t starts[3];
    for (int k = 0; k < 12; k++)
        nan[k] = NAN;
    assert_int_equal(cara_alignment_path(nan, 3, 4, &arena, starts), 0);
    for (int k = 0; k < 3; k++)
        assert_true(starts[k] < 4);
    cara_arena_free(&arena);
    cara_arena tiny;
    cara_arena_init(&tiny, 64);
    assert_int_equal(cara_alignment_path(nan, 3, 4, &tiny, starts), -1);
    cara_arena_free(&tiny);
}

/* [word, start, end, probability] of each */
static void check_words(const cara_cut_segment *segment, const json_t *expected, size_t i) {
    assert_int_equal(segment->n_words, json_array_size(expected));
    for (size_t k = 0; k < segment->n_words; k++) {
        const json_t *word = at(expected, k);
        assert_string_equal(segment->words[k].word, json_string_value(at(word, 0)));
        is_near(segment->words[k].start, json_number_value(at(word, 1)), 1e-9, i, "a word's start");
        is_near(segment->words[k].end, json_number_value(at(word, 2)), 1e-9, i, "a word's end");
        is_near(segment->words[k].probability, json_number_value(at(word, 3)), 1e-9, i,
                "a word's probability");
    }
}

static cara_cut cut_of(const json_t *segments) {
    cara_cut cut = {.n_segments = json_array_size(segments)};
    cut.segments = cara_arena_alloc(&arena, cut.n_segments, sizeof *cut.segments);
    assert_non_null(cut.segments);
    for (size_t i = 0; i < cut.n_segments; i++) {
        cut.segments[i].start = json_number_value(at(at(segments, i), 0));
        cut.segments[i].end = json_number_value(at(at(segments, i), 1));
    }
    return cut;
}

static int place(const json_t *c, cara_cut *cut, cara_arena *memory) {
    const json_t *timings = member(c, "timings"), *n_texts = member(c, "n_texts");
    size_t n = json_array_size(timings), texts[64];
    cara_word_timing *words = cara_arena_alloc(&arena, n + 1, sizeof *words);
    for (size_t k = 0; k < n; k++) {
        const json_t *w = at(timings, k);
        words[k] = (cara_word_timing){.word = json_string_value(member(w, "word")),
                                      .n_tokens = count(w, "n"),
                                      .start = number(w, "start"),
                                      .end = number(w, "end"),
                                      .probability = number(w, "probability")};
    }
    assert_true(json_array_size(n_texts) == cut->n_segments && cut->n_segments < 64);
    for (size_t k = 0; k < cut->n_segments; k++)
        texts[k] = (size_t)json_integer_value(at(n_texts, k));
    cara_options options;
    cara_options_default(&options, sizeof options);
    return cara_place_words(words, n, texts, options.prepend_punctuations,
                            options.append_punctuations, (int64_t)count(c, "seek"),
                            number(c, "last_speech_timestamp"), cut, memory);
}

static void words_are_placed_as_in_the_reference(void **state) {
    (void)state;
    size_t i, n_words = 0;
    json_t *c;
    json_array_foreach(member(cases, "placing"), i, c) {
        cara_cut cut = cut_of(member(c, "segments"));
        assert_int_equal(place(c, &cut, &arena), 0);
        for (size_t k = 0; k < cut.n_segments; k++) {
            const json_t *moved = at(member(c, "moved"), k);
            check_words(&cut.segments[k], at(member(c, "words"), k), i);
            is_near(cut.segments[k].start, json_number_value(at(moved, 0)), 1e-9, i, "a start");
            is_near(cut.segments[k].end, json_number_value(at(moved, 1)), 1e-9, i, "an end");
            n_words += cut.segments[k].n_words;
        }
        for (size_t limit = 0, failed = 1; failed; limit += 256) { /* memory may end anywhere */
            cara_arena little;
            cara_arena_init(&little, limit);
            cut = cut_of(member(c, "segments"));
            failed = place(c, &cut, &little) != 0;
            cara_arena_free(&little);
        }
        cara_arena_free(&arena);
    }
    assert_true(i >= 80 && n_words > 200);
}

/* Window after window as transcribe() goes through them. */
static void windows_follow_their_words(void **state) {
    (void)state;
    size_t i, k, n_windows = 0, removed = 0, skipped = 0;
    json_t *run, *w;
    json_array_foreach(member(cases, "runs"), i, run) {
        const json_t *given = member(run, "threshold");
        double threshold = json_is_null(given) ? NAN : json_number_value(given);
        json_array_foreach(member(run, "windows"), k, w) {
            cara_cut cut = cut_of(member(w, "segments"));
            for (size_t s = 0; s < cut.n_segments; s++) {
                const json_t *words = at(member(w, "words"), s);
                size_t n = json_array_size(words);
                cara_word *out = cara_arena_alloc(&arena, n + 1, sizeof *out);
                for (size_t x = 0; x < n; x++) {
                    const json_t *word = at(words, x);
                    out[x] = (cara_word){.word = json_string_value(at(word, 0)),
                                         .start = json_number_value(at(word, 1)),
                                         .end = json_number_value(at(word, 2)),
                                         .probability = json_number_value(at(word, 3))};
                }
                cut.segments[s].words = out;
                cut.segments[s].n_words = n;
            }
            cut.advance = (int64_t)count(w, "advance");
            cut.single_timestamp_ending = json_is_true(member(w, "single"));
            size_t before = cut.n_segments;
            const cara_word_window window = {
                .seek = (int64_t)count(w, "seek"),
                .segment_size = (int64_t)count(w, "size"),
                .last_speech_timestamp = number(w, "last_speech_timestamp"),
            };
            int skip =
                cara_advance_by_words(&window, threshold, (int64_t)count(run, "frames"), &cut);
            is_near((double)(window.seek + cut.advance), number(w, "next_seek"), 0, i, "the seek");
            is_near(skip ? 0 : (double)cut.n_segments, number(w, "kept"), 0, i, "what is kept");
            skipped += skip != 0;
            removed += !skip && cut.n_segments < before;
            n_windows++;
            cara_arena_free(&arena);
        }
    }
    assert_true(n_windows > 100 && removed > 10 && skipped > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_normalised_and_filtered),
        cmocka_unit_test(the_path_is_that_of_dtw),
        cmocka_unit_test(words_are_placed_as_in_the_reference),
        cmocka_unit_test(windows_follow_their_words),
    };
    return cmocka_run_group_tests(tests, open_cases, close_cases);
}
