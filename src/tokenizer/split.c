#include "tokenizer/split.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct cara_splitter {
    pcre2_code *code;
};

/* tokenizer.py: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * \s is the White_Space property there; PCRE2's own takes U+180E besides. */
static const char expression[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+|"
    "\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+";

int cara_splitter_new(cara_splitter **out, cara_error *err) {
    int code = 0;
    PCRE2_SIZE at = 0;
    *out = NULL;
    cara_splitter *s = calloc(1, sizeof *s);
    if (!s)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a tokenizer");
    s->code = pcre2_compile((PCRE2_SPTR)expression, sizeof expression - 1,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &at, NULL);
    if (!s->code) {
        PCRE2_UCHAR why[120] = "";
        pcre2_get_error_message(code, why, sizeof why);
        free(s);
        return cara_fail(err, code == PCRE2_ERROR_HEAP_FAILED ? CARA_ERR_MEMORY : CARA_ERR_INTERNAL,
                         (int64_t)at,
                         "PCRE2 does not compile the expression that cuts text into pieces: %s",
                         (const char *)why);
    }
    /* Twice as fast with it. Where code may not be made at run time, it is interpreted. */
    pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
    *out = s;
    return CARA_OK;
}

void cara_splitter_free(cara_splitter *splitter) {
    if (!splitter)
        return;
    pcre2_code_free(splitter->code);
    free(splitter);
}

int cara_split(const cara_splitter *splitter, const uint8_t *text, size_t n, cara_piece_fn piece,
               void *ctx) {
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    int rc = match ? 0 : -1;
    for (size_t at = 0; at < n && !rc;) {
        /* Every character matches one of the alternatives, so that only memory can fail. */
        if (pcre2_match(splitter->code, text, n, at, PCRE2_NO_UTF_CHECK, match, NULL) < 0) {
            rc = -1;
            break;
        }
        size_t end = pcre2_get_ovector_pointer(match)[1];
        rc = piece(ctx, text + at, end - at);
        at = end;
    }
    pcre2_match_data_free(match);
    return rc ? -1 : 0;
}
