#include "tokenizer/tokenizer.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "tokenizer/encode.h"
#include "tokenizer/language.h"
#include "tokenizer/non_speech.h"
#include "tokenizer/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_TIMESTAMPS 1501
#define TEXT_LIMIT (8 * CARA_MIB) /* a prompt is some hundred bytes; merging takes 50 for each */

struct cara_tokenizer {
    cara_vocab vocab;
    cara_splitter *splitter;
    cara_special_tokens special;
    int32_t n_language_tokens; /* also English-only vocabularies have them, unused */
    int multilingual;
    size_t n_non_speech;
    int32_t non_speech[CARA_NON_SPEECH_MAX];
    size_t n_blank;
    int32_t blank[1];
    char *source;
    size_t source_n;
};

/* tokenizer.py, get_encoding(): after the ranks come end of text, start of transcript, the
 * languages, six tasks and marks, and the timestamps. */
static void lay_out_specials(cara_tokenizer *t) {
    int32_t next = t->vocab.n;
    cara_special_tokens *s = &t->special;
    s->eot = next++;
    s->sot = next++;
    s->language_begin = t->multilingual ? next : -1;
    next += t->n_language_tokens;
    s->translate = next++;
    s->transcribe = next++;
    s->sot_lm = next++;
    s->sot_prev = next++;
    s->no_speech = next++;
    s->no_timestamps = next++;
    s->timestamp_begin = next;
}

int cara_tokenizer_new(const void *tiktoken, size_t n, int32_t n_vocab, cara_tokenizer **out,
                       cara_error *err) {
    *out = NULL;
    if (n_vocab < 51864 || n_vocab > 51866)
        return cara_fail(
            err, CARA_ERR_VOCAB, -1,
            "a model of %d tokens is no Whisper; known are 51864 (English-only), 51865 "
            "and 51866",
            (int)n_vocab);
    if (n > CARA_LIMIT_VOCAB_BYTES)
        return cara_fail(err, CARA_ERR_VOCAB, -1,
                         "the vocabulary has %zu bytes, more than the %zu that we read; OpenAI's "
                         "has less than a million",
                         n, CARA_LIMIT_VOCAB_BYTES);
    cara_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a tokenizer");
    int rc;
    t->multilingual = n_vocab >= 51865;
    t->n_language_tokens = n_vocab - 51765 - t->multilingual; /* model.py: num_languages */
    int32_t n_ranks = n_vocab - (2 + t->n_language_tokens + 6 + N_TIMESTAMPS);
    rc = cara_vocab_parse(&t->vocab, tiktoken, n, n_ranks, n_vocab, err);
    if (rc)
        goto fail;
    rc = cara_splitter_new(&t->splitter, err);
    if (rc)
        goto fail;
    lay_out_specials(t);
    t->source = malloc(n ? n : 1);
    if (!t->source ||
        cara_non_speech_tokens(t->splitter, &t->vocab, t->non_speech, &t->n_non_speech) ||
        cara_encode_text(t->splitter, &t->vocab, (const uint8_t *)" ", 1, t->blank, &t->n_blank)) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a tokenizer");
        goto fail;
    }
    memcpy(t->source, tiktoken, n);
    t->source_n = n;
    *out = t;
    return CARA_OK;
fail:
    cara_tokenizer_free(t);
    return rc;
}

void cara_tokenizer_free(cara_tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    cara_vocab_free(&tokenizer->vocab);
    cara_splitter_free(tokenizer->splitter);
    free(tokenizer->source);
    free(tokenizer);
}

const cara_special_tokens *cara_tokenizer_special(const cara_tokenizer *tokenizer) {
    return &tokenizer->special;
}

int cara_tokenizer_is_multilingual(const cara_tokenizer *tokenizer) {
    return tokenizer->multilingual;
}

int cara_tokenizer_n_languages(const cara_tokenizer *tokenizer) {
    return tokenizer->multilingual ? (int)tokenizer->n_language_tokens : 0;
}

int cara_tokenizer_encode(const cara_tokenizer *tokenizer, const char *text, size_t n,
                          cara_arena *arena, int32_t **ids, size_t *n_ids, cara_error *err) {
    *ids = NULL;
    *n_ids = 0;
    if (n > TEXT_LIMIT)
        return cara_fail(err, CARA_ERR_MEMORY, (int64_t)TEXT_LIMIT,
                         "a text of %zu bytes is more than the %zu that we cut into tokens", n,
                         TEXT_LIMIT);
    char *repaired = NULL;
    const char *valid = text;
    size_t valid_n = n;
    if (!cara_utf8_valid(text, n)) {
        /* A Python str holds no such text; with U+FFFD in place of ill-formed bytes it is valid. */
        repaired = malloc(3 * n + 1);
        if (!repaired)
            return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a text of %zu bytes", n);
        valid_n = cara_utf8_replace(text, n, repaired);
        valid = repaired;
    }
    int rc = CARA_OK;
    int32_t *scratch = malloc((valid_n + 1) * sizeof *scratch);
    size_t count = 0;
    if (!scratch ||
        cara_encode_text(tokenizer->splitter, &tokenizer->vocab, (const uint8_t *)valid, valid_n,
                         scratch, &count) ||
        !(*ids = cara_arena_alloc(arena, count, sizeof **ids))) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a text of %zu bytes", n);
    } else {
        if (count)
            memcpy(*ids, scratch, count * sizeof **ids);
        *n_ids = count;
    }
    free(scratch);
    free(repaired);
    return rc;
}

/* Appends the name of a token at or above eot and below timestamp_begin. */
static int add_special(const cara_tokenizer *t, int32_t id, cara_buf *out) {
    static const char *const names[] = {"translate",   "transcribe", "startoflm",
                                        "startofprev", "nospeech",   "notimestamps"};
    if (id == t->special.eot)
        return cara_buf_str(out, "<|endoftext|>");
    if (id == t->special.sot)
        return cara_buf_str(out, "<|startoftranscript|>");
    const char *name = id < t->special.translate ? cara_language_code(id - t->special.sot - 1)
                                                 : names[id - t->special.translate];
    return cara_buf_printf(out, "<|%s|>", name);
}

int cara_tokenizer_decode(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n,
                          cara_buf *out) {
    for (size_t i = 0; i < n; i++) {
        int failed = 0;
        if (ids[i] >= 0 && ids[i] < tokenizer->vocab.n)
            failed = cara_buf_add(out, tokenizer->vocab.pool + tokenizer->vocab.start[ids[i]],
                                  tokenizer->vocab.length[ids[i]]);
        else if (ids[i] >= tokenizer->vocab.n && ids[i] < tokenizer->special.timestamp_begin)
            failed = add_special(tokenizer, ids[i], out);
        if (failed)
            return CARA_ERR_MEMORY;
    }
    return CARA_OK;
}

const int32_t *cara_tokenizer_non_speech(const cara_tokenizer *tokenizer, size_t *n) {
    *n = tokenizer->n_non_speech;
    return tokenizer->non_speech;
}

const int32_t *cara_tokenizer_blank(const cara_tokenizer *tokenizer, size_t *n) {
    *n = tokenizer->n_blank;
    return tokenizer->blank;
}

const void *cara_tokenizer_source(const cara_tokenizer *tokenizer, size_t *n) {
    *n = tokenizer->source_n;
    return tokenizer->source;
}

const char *cara_tokenizer_text(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                cara_arena *arena) {
    cara_buf bytes;
    cara_buf_init(&bytes, CARA_LIMIT_RESULT_BYTES);
    char *text = NULL;
    if (!cara_tokenizer_decode(tokenizer, ids, n, &bytes)) {
        for (size_t i = 0; i < bytes.len; i++)
            if (!bytes.data[i])
                bytes.data[i] = (char)0xFF;
        text = cara_arena_alloc(arena, bytes.len + 1, 3);
        if (text)
            cara_utf8_replace(bytes.len ? bytes.data : "", bytes.len, text);
    }
    cara_buf_free(&bytes);
    return text;
}
