#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model.h"
#include "pt_make.h"
#include "scratch.h"

#define VOCAB "tests/data/nano/nano.tiktoken"

static void vocabularies_are_found(void **state) {
    (void)state;
    char *vocab;
    size_t n;
    cara_error err;
    char folder[300], model_path[400], path[400];
    assert_int_equal(cara_read_file(fixture_path(VOCAB), 16 << 20, &vocab, &n, &err), CARA_OK);
    snprintf(folder, sizeof folder, "%s/vocab", scratch);
    snprintf(model_path, sizeof model_path, "%s/m.pt", folder);
    assert_int_equal(cara_make_dirs(folder, 0700, &err), CARA_OK);
    pt_spec spec = {.dims = pt_tiny_dims};
    pt_write(&spec, model_path);
    cara_model *m;

    assert_int_equal(cara_model_open(model_path, NULL, &m, &err), CARA_ERR_VOCAB);
    assert_null(m);
    says(&err, "put multilingual.tiktoken into");
    says(&err, "whisper/assets");
    assert_int_equal(cara_model_open(model_path, "/no/such.tiktoken", &m, &err), CARA_ERR_VOCAB);
    says(&err, "/no/such.tiktoken");
    says(&err, "multilingual.tiktoken");

    /* The only one, but broken: says what is wrong with it. */
    snprintf(path, sizeof path, "%s/b.tiktoken", folder);
    write_bytes(path, "IQ== x\n", 7);
    assert_int_equal(cara_model_open(model_path, NULL, &m, &err), CARA_ERR_VOCAB);
    says(&err, "b.tiktoken: line 1 ");
    /* One that fits beside one that does not. */
    snprintf(path, sizeof path, "%s/a.tiktoken", folder);
    write_bytes(path, vocab, n);
    assert_int_equal(cara_model_open(model_path, NULL, &m, &err), CARA_OK);
    assert_string_equal(m->vocab_path, path);
    cara_model_close(m);
    /* Two that fit. */
    snprintf(path, sizeof path, "%s/c.tiktoken", folder);
    write_bytes(path, vocab, n);
    assert_int_equal(cara_model_open(model_path, NULL, &m, &err), CARA_ERR_VOCAB);
    says(&err, "both fit");
    /* The one by OpenAI's name goes before all others. */
    snprintf(path, sizeof path, "%s/multilingual.tiktoken", folder);
    write_bytes(path, vocab, n);
    assert_int_equal(cara_model_open(model_path, NULL, &m, &err), CARA_OK);
    assert_string_equal(m->vocab_path, path);
    cara_model_close(m);
    /* A named one goes before that, and its faults are reported. */
    snprintf(path, sizeof path, "%s/b.tiktoken", folder);
    assert_int_equal(cara_model_open(model_path, path, &m, &err), CARA_ERR_VOCAB);
    says(&err, "b.tiktoken: line 1 ");
    free(vocab);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(vocabularies_are_found)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
