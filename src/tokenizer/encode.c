#include "tokenizer/encode.h"

#include "tokenizer/bpe.h"

typedef struct output {
    const cara_vocab *vocab;
    int32_t *ids;
    size_t n;
} output;

static int add_piece(void *ctx, const uint8_t *piece, size_t n) {
    output *out = ctx;
    size_t got;
    if (cara_bpe_piece(out->vocab, piece, n, out->ids + out->n, &got))
        return -1;
    out->n += got;
    return 0;
}

int cara_encode_text(const cara_splitter *splitter, const cara_vocab *vocab, const uint8_t *text,
                     size_t n, int32_t *ids, size_t *n_ids) {
    output out = {vocab, ids, 0};
    int rc = cara_split(splitter, text, n, add_piece, &out);
    *n_ids = out.n;
    return rc;
}
