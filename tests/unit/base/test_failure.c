/* The table of failures, every stage with every code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/failure.h"
#include "base/files/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A letter for each stage: event, message, store, media, check, model, transcribe.
 * Outcomes: q quarantined, r retry, s retry under the code "store", m retry at stage "model",
 *           f failed, F failed and final.
 * Types:    T out of time, M out of memory, E event, B store busy, S store unavailable,
 *           D media unavailable, N model unavailable, U model unusable, A audio. */
static const struct expectation {
    cara_code code;
    const char *outcomes, *types;
} expectations[] = {
    {CARA_ERR_USAGE, "qfrffrm", "EESDDUU"},        {CARA_ERR_MEMORY, "rrrrrrr", "MMMMMMM"},
    {CARA_ERR_IO, "qfsffrf", "EESDDUA"},           {CARA_ERR_NOT_FOUND, "qfrffrm", "EESDDUU"},
    {CARA_ERR_AUDIO_FORMAT, "qFrFfrF", "EESDDUA"}, {CARA_ERR_AUDIO_CORRUPT, "qFrFfrF", "EESDDUA"},
    {CARA_ERR_AUDIO_LIMIT, "qFrFfrF", "EESDDUA"},  {CARA_ERR_AUDIO_MODULE, "qfrffrf", "EESDDUA"},
    {CARA_ERR_MODEL_FORMAT, "qfrffrf", "EESDDUA"}, {CARA_ERR_MODEL_CORRUPT, "qfrffrm", "EESDDUU"},
    {CARA_ERR_MODEL_SHAPE, "qfrffrf", "EESDDUA"},  {CARA_ERR_VOCAB, "qfrffrf", "EESDDUA"},
    {CARA_ERR_CPU, "qfrffrm", "EESDDUU"},          {CARA_ERR_CANCELLED, "rrrrrrr", "TTTTTTT"},
    {CARA_ERR_EVENT, "qFrFfrF", "EESDDUA"},        {CARA_ERR_STORE, "qfrrfrf", "EESDDUA"},
    {CARA_ERR_NETWORK, "qfsrfrm", "EESDDNN"},      {CARA_ERR_DENIED, "qfsffrm", "EESDDUU"},
    {CARA_ERR_CONFLICT, "qfrrfrm", "EEBDDUU"},     {CARA_ERR_INTERNAL, "qfsffrf", "EESDDUA"},
    {CARA_ERR_LIMIT, "qFrFfrF", "EESDDUA"},
};
enum { N = sizeof expectations / sizeof *expectations };

static const cara_failure_type types[] = {
    ['T'] = CARA_FAILURE_OUT_OF_TIME,
    ['M'] = CARA_FAILURE_OUT_OF_MEMORY,
    ['E'] = CARA_FAILURE_EVENT,
    ['B'] = CARA_FAILURE_STORE_BUSY,
    ['S'] = CARA_FAILURE_STORE_UNAVAILABLE,
    ['D'] = CARA_FAILURE_MEDIA_UNAVAILABLE,
    ['N'] = CARA_FAILURE_MODEL_UNAVAILABLE,
    ['U'] = CARA_FAILURE_MODEL_UNUSABLE,
    ['A'] = CARA_FAILURE_AUDIO,
};

static void every_stage_and_code(void **state) {
    for (size_t i = 0; i < N; i++) {
        const struct expectation *e = &expectations[i];
        assert_int_equal(strlen(e->outcomes), CARA_STAGE_TRANSCRIBE);
        assert_int_equal(strlen(e->types), CARA_STAGE_TRANSCRIBE);
        for (int stage = CARA_STAGE_EVENT; stage <= CARA_STAGE_TRANSCRIBE; stage++) {
            char letter = e->outcomes[stage - 1];
            cara_failure f = cara_failure_of((cara_stage)stage, e->code);
            print_message("stage %d, %s\n", stage, cara_code_name(e->code));
            assert_int_equal(f.outcome, letter == 'q'                    ? CARA_OUTCOME_QUARANTINED
                                        : letter == 'f' || letter == 'F' ? CARA_OUTCOME_FAILED
                                                                         : CARA_OUTCOME_RETRY);
            assert_int_equal(f.final, letter == 'F');
            assert_int_equal(f.code, letter == 's' ? CARA_ERR_STORE : e->code);
            assert_int_equal(f.stage, letter == 'm' ? CARA_STAGE_MODEL
                                      : stage == CARA_STAGE_CHECK && letter == 'f'
                                          ? CARA_STAGE_MEDIA
                                          : stage);
            assert_int_equal(f.type, types[(unsigned char)e->types[stage - 1]]);
        }
    }
}

/* What is reported means the same when it is looked up again, as Lambda's error types are. */
static void reported_error_types_match_the_table(void **state) {
    for (size_t i = 0; i < N; i++)
        for (int stage = CARA_STAGE_EVENT; stage <= CARA_STAGE_TRANSCRIBE; stage++) {
            cara_failure f = cara_failure_of((cara_stage)stage, expectations[i].code);
            cara_failure again = cara_failure_of(f.stage, f.code);
            if (f.outcome == CARA_OUTCOME_RETRY) {
                assert_int_equal(again.type, f.type);
                assert_int_equal(again.outcome, f.outcome);
            }
        }
}

/* A code that is added to the header must be added here. */
static void every_documented_error_code_is_covered(void **state) {
    char path[512], *text = NULL;
    size_t n = 0, found = 0;
    snprintf(path, sizeof path, "%s/include/caracola/error.h", getenv("CARACOLA_SOURCE_DIR"));
    assert_int_equal(cara_read_file(path, 1 << 20, &text, &n, NULL), CARA_OK);
    for (const char *p = text; (p = strstr(p, "CARA_ERR_")); found++) {
        p += strcspn(p, "=");
        int code = (int)strtol(p + 1, NULL, 10), expected = 0;
        for (size_t i = 0; i < N; i++)
            expected |= expectations[i].code == code;
        if (!expected)
            fail_msg("code %d has no expectation", code);
    }
    assert_int_equal(found, N);
    free(text);
}

static void records_name_final_errors(void **state) {
    for (size_t i = 0; i < N; i++) {
        const char *name = cara_code_name(expectations[i].code);
        int final = strchr(expectations[i].outcomes, 'F') != NULL;
        assert_int_equal(cara_failure_is_final(name), final);
    }
    assert_int_equal(cara_failure_is_final("pending"), 0);
    assert_int_equal(cara_failure_is_final("sha256_mismatch"), 0);
    assert_int_equal(cara_failure_is_final("ok"), 0);
    assert_int_equal(cara_failure_is_final(""), 0);
    assert_int_equal(cara_failure_is_final(NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stage_and_code),
        cmocka_unit_test(reported_error_types_match_the_table),
        cmocka_unit_test(every_documented_error_code_is_covered),
        cmocka_unit_test(records_name_final_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
