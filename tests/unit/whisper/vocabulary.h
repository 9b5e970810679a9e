/* The tests' vocabulary, from tests/data/nano. */
#ifndef TESTS_WHISPER_VOCABULARY_H
#define TESTS_WHISPER_VOCABULARY_H

#include "base/files/file.h"
#include "base/limits.h"
#include "tokenizer/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `n_vocab` 51865, or 51864 for an English-only layout (one rank less). */
static cara_tokenizer *open_vocabulary(int32_t n_vocab) {
    char path[4096];
    char *bytes;
    size_t n;
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    assert_non_null(root);
    snprintf(path, sizeof path, "%s/tests/data/nano/nano.tiktoken", root);
    assert_int_equal(cara_read_file(path, CARA_LIMIT_VOCAB_BYTES, &bytes, &n, NULL), 0);
    if (n_vocab == 51864)
        for (n--; n && bytes[n - 1] != '\n'; n--)
            ;
    cara_tokenizer *tokenizer = NULL;
    cara_error err = {0};
    if (cara_tokenizer_new(bytes, n, n_vocab, &tokenizer, &err))
        fail_msg("%s", err.text);
    free(bytes);
    return tokenizer;
}

/* The dims of the nano model, which these tests do not load. */
static cara_dims dims_of_test(int32_t n_vocab) {
    return (cara_dims){.n_mels = 80,
                       .n_audio_ctx = 1500,
                       .n_audio_state = 192,
                       .n_audio_head = 3,
                       .n_audio_layer = 4,
                       .n_vocab = n_vocab,
                       .n_text_ctx = 448,
                       .n_text_state = 192,
                       .n_text_head = 3,
                       .n_text_layer = 4};
}

#endif
