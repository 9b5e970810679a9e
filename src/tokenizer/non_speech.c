#include "tokenizer/non_speech.h"

#include "tokenizer/encode.h"

#include <string.h>

/* What marks speakers and sounds rather than speech. Suppressed where it is one token, with or
 * without a blank before it. */
static const char *const symbols[] = {
    "\"",  "#",  "(",  ")",   "*",   "+",   "/",   ":",  ";",   "<",  "=",   ">",
    "@",   "[",  "\\", "]",   "^",   "_",   "`",   "{",  "|",   "}",  "~",   "「",
    "」",  "『", "』", "<<",  ">>",  "<<<", ">>>", "--", "---", "-(", "-[",  "('",
    "(\"", "((", "))", "(((", ")))", "[[",  "]]",  "{{", "}}",  "♪♪", "♪♪♪",
};

/* Suppressed by their first token, however many they are: they share it with other signs of
 * U+2640..267F only. */
static const char *const music[] = {"♩", "♪", "♫", "♬", "♭", "♮", "♯"};

static void insert(int32_t *ids, size_t *n, int32_t id) {
    size_t at = *n;
    while (at && ids[at - 1] > id)
        at--;
    if (at && ids[at - 1] == id)
        return;
    memmove(ids + at + 1, ids + at, (*n - at) * sizeof *ids);
    ids[at] = id;
    (*n)++;
}

/* Adds the first token of `symbol` and of " symbol" where each is one token, or in any case. */
static int add(const cara_splitter *splitter, const cara_vocab *vocab, const char *symbol, int any,
               int32_t *ids, size_t *n) {
    uint8_t text[16] = " ";
    size_t len = strlen(symbol);
    memcpy(text + 1, symbol, len);
    for (int blank = 0; blank <= 1; blank++) {
        int32_t got[16];
        size_t n_got;
        if (cara_encode_text(splitter, vocab, text + 1 - blank, len + (size_t)blank, got, &n_got))
            return -1;
        if (any || n_got == 1)
            insert(ids, n, got[0]);
    }
    return 0;
}

int cara_non_speech_tokens(const cara_splitter *splitter, const cara_vocab *vocab, int32_t *ids,
                           size_t *n) {
    *n = 0;
    /* Hyphen and quote may stand between words, but not begin one. */
    static const char *const openers[] = {" -", " '"};
    for (size_t i = 0; i < 2; i++) {
        int32_t got[2];
        size_t n_got;
        if (cara_encode_text(splitter, vocab, (const uint8_t *)openers[i], 2, got, &n_got))
            return -1;
        insert(ids, n, got[0]);
    }
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++)
        if (add(splitter, vocab, symbols[i], 0, ids, n))
            return -1;
    for (size_t i = 0; i < sizeof music / sizeof music[0]; i++)
        if (add(splitter, vocab, music[i], 1, ids, n))
            return -1;
    return 0;
}
