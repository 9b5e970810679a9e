/* A rank file, a zero byte, and a text to cut with it. As many ranks are asked for as the file has
 * lines, so that small files get through. */
#include "base/utf8.h"
#include "tokenizer/encode.h"
#include "tokenizer/non_speech.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t vocab_n = zero ? (size_t)(zero - data) : size;
    int32_t lines = 0;
    for (size_t i = 0; i < vocab_n; i++)
        lines += data[i] == '\n';
    cara_tokenizer *tokenizer;
    /* Rarely: its tables are large, and a full vocabulary is no fuzzer's work. */
    if (size % 16 == 0 &&
        cara_tokenizer_new(data, vocab_n, 51864 + (int32_t)(size % 3), &tokenizer, NULL) == CARA_OK)
        cara_tokenizer_free(tokenizer);
    static cara_splitter *splitter; /* one for all inputs */
    cara_vocab vocab;
    if (!splitter && cara_splitter_new(&splitter, NULL) != CARA_OK)
        return 0;
    if (lines == 0 ||
        cara_vocab_parse(&vocab, (const char *)data, vocab_n, lines, 51865, NULL) != CARA_OK)
        return 0;
    size_t text_n = size - vocab_n;
    int32_t non_speech[CARA_NON_SPEECH_MAX];
    size_t n_ids;
    char *text = malloc(3 * text_n + 1);
    int32_t *ids = malloc((3 * text_n + 1) * sizeof *ids);
    if (text && ids && cara_non_speech_tokens(splitter, &vocab, non_speech, &n_ids) == 0) {
        size_t n = cara_utf8_replace(data + vocab_n, text_n, text), at = 0;
        if (cara_encode_text(splitter, &vocab, (const uint8_t *)text, n, ids, &n_ids) == 0) {
            /* The tokens' bytes are the text. */
            for (size_t i = 0; i < n_ids; i++) {
                size_t len = vocab.length[ids[i]];
                if (len > n - at || memcmp(text + at, vocab.pool + vocab.start[ids[i]], len) != 0)
                    abort();
                at += len;
            }
            if (at != n)
                abort();
        }
    }
    free(text);
    free(ids);
    cara_vocab_free(&vocab);
    return 0;
}
