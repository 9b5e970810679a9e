#include "tokenizer/vocab.h"

#include <stdlib.h>
#include <string.h>

#define ABSENT UINT32_MAX
#define LONGEST_TOKEN 1024u /* GPT-2's longest is 128 bytes */

/* FNV-1a, whose low bits are then spread by a multiplication. */
static uint32_t hash(const uint8_t *bytes, size_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return (uint32_t)((h * 0x9e3779b97f4a7c15u) >> 32);
}

/* The slot that holds these bytes, or the free one where they would go. */
static uint32_t find_slot(const cara_vocab *v, const uint8_t *bytes, size_t n) {
    uint32_t at = hash(bytes, n) & v->mask;
    for (int32_t r; (r = v->slots[at]) >= 0; at = (at + 1) & v->mask)
        if (v->length[r] == n && (n == 0 || memcmp(v->pool + v->start[r], bytes, n) == 0))
            break;
    return at;
}

int32_t cara_vocab_rank(const cara_vocab *vocab, const uint8_t *bytes, size_t n) {
    return n > vocab->longest ? -1 : vocab->slots[find_slot(vocab, bytes, n)];
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes n characters to out (3 bytes for each 4 suffice); returns the length, or -1. */
static int64_t base64_decode(const char *text, size_t n, uint8_t *out) {
    if (n == 1 && text[0] == '=')
        return 0; /* as Python's b64decode reads it: the empty token */
    if (n == 0 || n % 4)
        return -1;
    size_t padding = (text[n - 1] == '=') + (size_t)(text[n - 1] == '=' && text[n - 2] == '=');
    uint8_t *to = out;
    for (size_t i = 0; i < n; i += 4) {
        uint32_t bits = 0;
        for (size_t j = i; j < i + 4; j++) {
            int digit = j < n - padding ? base64_digit(text[j]) : 0;
            if (digit < 0)
                return -1;
            bits = bits << 6 | (uint32_t)digit;
        }
        size_t keep = i + 4 == n ? 3 - padding : 3;
        for (size_t j = 0; j < keep; j++)
            *to++ = (uint8_t)(bits >> (16 - 8 * j));
        if (keep < 3 && (bits & ((1u << (24 - 8 * keep)) - 1)))
            return -1; /* bits beyond the last byte: no encoder writes them */
    }
    return to - out;
}

static int is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* One line: "<base64> <rank>". Returns NULL, or what is wrong with it. */
static const char *parse_line(cara_vocab *v, const char *line, size_t n, size_t *pool_at,
                              int32_t *rank) {
    size_t token_n = 0;
    while (token_n < n && !is_blank(line[token_n]))
        token_n++;
    size_t at = token_n;
    while (at < n && is_blank(line[at]))
        at++;
    int64_t value = 0;
    size_t digits = at;
    for (; at < n && line[at] >= '0' && line[at] <= '9' && value <= INT32_MAX; at++)
        value = value * 10 + (line[at] - '0');
    if (token_n == 0 || at == digits || at != n)
        return "is not \"<base64> <rank>\"";
    if (value >= v->n) {
        *rank = value > INT32_MAX ? INT32_MAX : (int32_t)value;
        return "has a rank that is out of range";
    }
    if (v->length[value] != ABSENT)
        return "repeats a rank";
    int64_t length = base64_decode(line, token_n, v->pool + *pool_at);
    if (length < 0)
        return "is not base64";
    if (length > LONGEST_TOKEN)
        return "holds a token of more than 1,024 bytes";
    *rank = (int32_t)value;
    v->start[value] = (uint32_t)*pool_at;
    v->length[value] = (uint32_t)length;
    if ((size_t)length > v->longest)
        v->longest = (size_t)length;
    uint32_t slot = find_slot(v, v->pool + *pool_at, (size_t)length);
    if (v->slots[slot] >= 0)
        return "repeats the bytes of an earlier token";
    v->slots[slot] = *rank;
    *pool_at += (size_t)length;
    return NULL;
}

static const char *vocab_file_name(int32_t n_vocab) {
    return n_vocab == 51864 ? "gpt2.tiktoken" : "multilingual.tiktoken";
}

/* After the last line: are all ranks and all bytes there? */
static int check_complete(const cara_vocab *v, int32_t count, int32_t n_vocab, cara_error *err) {
    for (int32_t r = 0; r < v->n; r++)
        if (v->length[r] == ABSENT)
            return cara_fail(err, CARA_ERR_VOCAB, -1,
                             "the vocabulary has %d tokens and no rank %d, but a model of %d "
                             "tokens needs ranks 0 to %d; give it openai/whisper's %s",
                             (int)count, (int)r, (int)n_vocab, (int)v->n - 1,
                             vocab_file_name(n_vocab));
    for (int b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        if (cara_vocab_rank(v, &byte, 1) < 0)
            return cara_fail(err, CARA_ERR_VOCAB, -1,
                             "the vocabulary has no token for the single byte 0x%02x, so it cannot "
                             "write every text; use a whole tiktoken file such as %s",
                             (unsigned)b, vocab_file_name(n_vocab));
    }
    return CARA_OK;
}

int cara_vocab_parse(cara_vocab *vocab, const char *text, size_t n, int32_t n_ranks,
                     int32_t n_vocab, cara_error *err) {
    *vocab = (cara_vocab){.n = n_ranks};
    size_t slots = 1024;
    while (slots < 2 * (size_t)n_ranks)
        slots *= 2;
    vocab->mask = (uint32_t)(slots - 1);
    vocab->pool = malloc(n + 3); /* base64 never grows */
    vocab->start = malloc((size_t)n_ranks * sizeof *vocab->start);
    vocab->length = malloc((size_t)n_ranks * sizeof *vocab->length);
    vocab->slots = malloc(slots * sizeof *vocab->slots);
    int rc;
    if (!vocab->pool || !vocab->start || !vocab->length || !vocab->slots) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a vocabulary of %zu bytes", n);
        goto fail;
    }
    memset(vocab->length, 0xff, (size_t)n_ranks * sizeof *vocab->length);
    memset(vocab->slots, 0xff, slots * sizeof *vocab->slots);

    size_t pool_at = 0;
    int32_t count = 0, line_no = 0;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t line_n = end ? (size_t)(end - (text + at)) : n - at;
        size_t start = at;
        at += line_n + (end ? 1 : 0);
        line_no++;
        while (line_n && is_blank(text[start + line_n - 1]))
            line_n--;
        if (!line_n)
            continue;
        int32_t rank = -1;
        const char *wrong = parse_line(vocab, text + start, line_n, &pool_at, &rank);
        if (wrong && rank >= n_ranks)
            rc = cara_fail(err, CARA_ERR_VOCAB, (int64_t)start,
                           "line %d of the vocabulary has rank %d, but a model of %d tokens takes "
                           "%d ranks; give it the vocabulary that fits, openai/whisper's %s",
                           (int)line_no, (int)rank, (int)n_vocab, (int)n_ranks,
                           vocab_file_name(n_vocab));
        else if (wrong)
            rc = cara_fail(err, CARA_ERR_VOCAB, (int64_t)start,
                           "line %d of the vocabulary %s; a tiktoken file has one "
                           "\"<base64> <rank>\" a line: fetch it again, openai/whisper's %s",
                           (int)line_no, wrong, vocab_file_name(n_vocab));
        if (wrong)
            goto fail;
        count++;
    }
    rc = check_complete(vocab, count, n_vocab, err);
    if (!rc)
        return CARA_OK;
fail:
    cara_vocab_free(vocab);
    return rc;
}

void cara_vocab_free(cara_vocab *vocab) {
    free(vocab->pool);
    free(vocab->start);
    free(vocab->length);
    free(vocab->slots);
    *vocab = (cara_vocab){0};
}
