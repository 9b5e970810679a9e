#include "tokenizer/words.h"

#include "base/utf8.h"
#include "tokenizer/language.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

static int is_without_spaces(int language) {
    static const char *const codes[] = {"zh", "ja", "th", "lo", "my", "yue"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(cara_language_code(language), codes[i]) == 0)
            return 1;
    return 0;
}

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "No memory to split a text into words");
}

/* Whether character `at` of the text is U+FFFD; not where the text has no such character. */
static int is_replacement_at(const char *text, size_t at) {
    for (; *text; text++)
        if (((uint8_t)*text & 0xC0) != 0x80 && at-- == 0)
            return strncmp(text, REPLACEMENT, strlen(REPLACEMENT)) == 0;
    return 0;
}

/* split_tokens_on_unicode(): a word ends where its characters are whole, or where an ill-formed one
 * is ill-formed in the whole text, too. */
static int split_on_unicode(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n,
                            cara_arena *arena, cara_token_word *words, size_t *n_words,
                            cara_error *err) {
    size_t offset = 0, first = 0; /* offset: characters of the words so far */
    const char *full = cara_tokenizer_text(tokenizer, ids, n, arena);
    if (!full)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const char *part = cara_tokenizer_text(tokenizer, ids + first, i + 1 - first, arena);
        if (!part)
            return no_memory(err);
        const char *bad = strstr(part, REPLACEMENT);
        /* The rest of the character is in the next token. The reference drops tokens at the end
         * whose character stays ill-formed here and not there; they are a word here. */
        if (bad && i + 1 < n &&
            !is_replacement_at(full, offset + cara_utf8_count(part, (size_t)(bad - part))))
            continue;
        words[(*n_words)++] = (cara_token_word){part, i + 1 - first};
        offset += cara_utf8_count(part, strlen(part));
        first = i + 1;
    }
    return CARA_OK;
}

/* Python: text.strip() in string.punctuation, which is also true of nothing, and of marks in their
 * order there. */
static int is_punctuation(const char *text) {
    static const char marks[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    cara_slice stripped = cara_utf8_strip(text, strlen(text));
    for (size_t i = 0; i + stripped.len < sizeof marks; i++)
        if (memcmp(marks + i, stripped.ptr, stripped.len) == 0)
            return 1;
    return 0;
}

/* split_tokens_on_spaces(): joins the parts to words, in place. */
static int join_on_spaces(const cara_tokenizer *tokenizer, const int32_t *ids, cara_arena *arena,
                          cara_token_word *words, size_t *n_words, cara_error *err) {
    int32_t eot = cara_tokenizer_special(tokenizer)->eot;
    size_t n = 0;
    for (size_t i = 0; i < *n_words; i++) {
        const cara_token_word part = words[i];
        int begins = n == 0 || ids[0] >= eot || part.text[0] == ' ' || is_punctuation(part.text);
        ids += part.n_tokens;
        if (begins) {
            words[n++] = part;
            continue;
        }
        words[n - 1].text = cara_arena_printf(arena, "%s%s", words[n - 1].text, part.text);
        words[n - 1].n_tokens += part.n_tokens;
        if (!words[n - 1].text)
            return no_memory(err);
    }
    *n_words = n;
    return CARA_OK;
}

int cara_tokenizer_words(const cara_tokenizer *tokenizer, int language, const int32_t *ids,
                         size_t n, cara_arena *arena, const cara_token_word **words,
                         size_t *n_words, cara_error *err) {
    *n_words = 0;
    cara_token_word *out = cara_arena_alloc(arena, n + 1, sizeof *out);
    *words = out;
    if (!out)
        return no_memory(err);
    int rc = split_on_unicode(tokenizer, ids, n, arena, out, n_words, err);
    if (!rc && !is_without_spaces(language))
        rc = join_on_spaces(tokenizer, ids, arena, out, n_words, err);
    return rc;
}
