/* Whole transcripts against openai/whisper's. Usage: test_golden_transcripts LEVEL all|some
 * `some` takes fewer notes, for slow levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transcripts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npy.h"

static const char *level;
static int all;
static golden g;

static int open_golden(void **state) {
    (void)state;
    golden_open(&g, level);
    return 0;
}

static int close_golden(void **state) {
    (void)state;
    golden_close(&g);
    return 0;
}

static int is_json(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n > 5 && !strcmp(entry->d_name + n - 5, ".json");
}

/* Calls `check` with the name, without ".json", of each golden in a folder. */
static int each(const char *folder, int (*check)(const char *name)) {
    struct dirent **entries;
    int bad = 0, n = scandir(fixture(folder), &entries, is_json, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strlen(entries[i]->d_name) - 5,
                 entries[i]->d_name);
        bad += check(name);
        free(entries[i]);
    }
    free(entries);
    return bad;
}

/* Where two tokens are so nearly tied that the samples decide, which libopus and the decoder of
 * ffmpeg (openai/whisper's) give one step of 16 bits apart on average. From openai/whisper's own
 * samples all of these come out as they did there. */
static const struct tie {
    const char *name;
    size_t most; /* segments before the tie */
} ties[] = {
    /* After <|8.42|>, past the end of speech: eot has 0.1710 and " Es" 0.1688 there; from our
     * samples 0.1677 and 0.1694. The window is one segment longer, and all its scores differ. */
    {"transcripts/en-00", 2},
    /* The first timestamp of the window at 88.40 s: <|0.62|> has 0.00203 and <|0.14|> 0.00198. */
    {"options/long-es.prompt", 15},
    {"options/long-es.carry-prompt", 15},
};

static size_t before_tie(const char *name, int from_ogg) {
    for (size_t i = 0; from_ogg && i < sizeof ties / sizeof *ties; i++)
        if (!strcmp(name, ties[i].name))
            return ties[i].most;
    return SIZE_MAX;
}

static int is_one_of(const char *name, const char *const *list) {
    for (; *list; list++)
        if (!strcmp(name, *list))
            return 1;
    return 0;
}

static int check(const char *name, const char *note, const cara_options *options,
                 const json_t *expected, int from_ogg) {
    cara_result *result = golden_transcribe(&g, note, options, from_ogg);
    int bad = golden_compare(name, result, expected, from_ogg, before_tie(name, from_ogg));
    cara_result_free(result);
    return bad;
}

static int check_transcript(const char *note) {
    static const char *const few[] = {"es-01", "blip-0.3s", "empty", "silence-5s", NULL};
    static const char *const no_ogg[] = {"blip-0.3s", "empty", "silence-5s", "noise-8s", NULL};
    if (!all && !is_one_of(note, few))
        return 0;
    char name[300];
    snprintf(name, sizeof name, "transcripts/%s", note);
    json_t *expected = golden_json(name);
    cara_options options;
    golden_options(NULL, &options);
    int bad = 0;
    if (golden_has_samples(note))
        bad += check(name, note, &options, expected, 0);
    if (all && !is_one_of(note, no_ogg))
        bad += check(name, note, &options, expected, 1);
    json_decref(expected);
    return bad;
}

static void transcripts(void **state) {
    (void)state;
    assert_int_equal(each("golden/transcripts", check_transcript), 0);
}

/* "es-01.prompt" */
static int check_options(const char *golden_name) {
    /* Nothing there that others do not try, and two minutes of audio each. */
    static const char *const slow[] = {"long-es.language-es", "long-es.suppress", NULL};
    const char *option = strchr(golden_name, '.');
    assert_non_null(option);
    if (is_one_of(golden_name, slow) || (!all && strcmp(golden_name, "es-01.no-timestamps") != 0))
        return 0;
    char name[300], note[256];
    snprintf(name, sizeof name, "options/%s", golden_name);
    snprintf(note, sizeof note, "%.*s", (int)(option - golden_name), golden_name);
    json_t *made = golden_json(name);
    cara_options options;
    golden_options(json_object_get(made, "options"), &options);
    int bad =
        check(name, note, &options, json_object_get(made, "result"), !golden_has_samples(note));
    json_decref(made);
    return bad;
}

static void options(void **state) {
    (void)state;
    assert_int_equal(each("golden/options", check_options), 0);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s LEVEL all|some\n", argv[0]);
        return 2;
    }
    level = argv[1];
    all = !strcmp(argv[2], "all");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transcripts),
        cmocka_unit_test(options),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
