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

/* Tokenizer.decode_with_timestamps() of text tokens and eot, NUL-terminated in the arena, with its
 * length; NULL where there is no memory. */
static char *decode(const cara_tokenizer *tokenizer, const int32_t *ids, size_t n, cara_buf *bytes,
                    cara_arena *arena, size_t *n_text) {
    bytes->len = 0;
    if (cara_tokenizer_decode(tokenizer, ids, n, bytes) != CARA_OK)
        return NULL;
    for (size_t i = 0; i < bytes->len; i++)
        if (!bytes->data[i])
            bytes->data[i] = (char)0xFF; /* no C string holds it: it becomes U+FFFD, too */
    char *text = cara_arena_alloc(arena, bytes->len + 1, 3);
    if (text)
        *n_text = cara_utf8_replace(bytes->len ? bytes->data : "", bytes->len, text);
    return text;
}

static size_t characters(const char *text, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((uint8_t)text[i] & 0xC0) != 0x80;
    return count;
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
    cara_buf bytes;
    cara_buf_init(&bytes, (size_t)1 << 24);
    size_t n_full = 0, offset = 0, first = 0;
    int rc = CARA_OK;
    const char *full = decode(tokenizer, ids, n, &bytes, arena, &n_full);
    if (!full)
        rc = no_memory(err);
    for (size_t i = 0; i < n && !rc; i++) {
        size_t n_part = 0;
        char *part = decode(tokenizer, ids + first, i + 1 - first, &bytes, arena, &n_part);
        if (!part) {
            rc = no_memory(err);
            break;
        }
        const char *bad = strstr(part, REPLACEMENT);
        /* The rest of the character is in the next token. The reference drops tokens at the end
         * whose character stays ill-formed here and not there; they are a word here. */
        if (bad && i + 1 < n &&
            !is_replacement_at(full, offset + characters(part, (size_t)(bad - part))))
            continue;
        words[(*n_words)++] = (cara_token_word){part, i + 1 - first};
        offset += characters(part, n_part);
        first = i + 1;
    }
    cara_buf_free(&bytes);
    return rc;
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
