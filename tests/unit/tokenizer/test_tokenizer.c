#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files/file.h"
#include "base/utf8.h"
#include "tokenizer/language.h"
#include "tokenizer/split.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/words.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* nano's vocabulary; without its last line it has the size of an English-only one. */
static char *vocab_text;
static size_t vocab_n, vocab_n_english;

static char *fixture(const char *name, size_t *n) {
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    assert_non_null(root);
    char path[1024], *bytes;
    snprintf(path, sizeof path, "%s/%s", root, name);
    cara_error err;
    if (cara_read_file(path, 64u << 20, &bytes, n, &err))
        fail_msg("%s", err.text);
    return bytes;
}

static int load(void **state) {
    (void)state;
    vocab_text = fixture("tests/data/nano/nano.tiktoken", &vocab_n);
    vocab_n_english = vocab_n - 1;
    while (vocab_text[vocab_n_english - 1] != '\n')
        vocab_n_english--;
    return 0;
}

static int unload(void **state) {
    (void)state;
    free(vocab_text);
    return 0;
}

static cara_tokenizer *make(const char *text, size_t n, int32_t n_vocab) {
    cara_tokenizer *t;
    cara_error err;
    if (cara_tokenizer_new(text, n, n_vocab, &t, &err))
        fail_msg("%s", err.text);
    return t;
}

static int64_t integer(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void check_ids(const json_t *expected, const int32_t *ids, size_t n, const char *what) {
    if (json_array_size(expected) != n)
        fail_msg("%s: %zu ids, expected %zu", what, n, json_array_size(expected));
    for (size_t i = 0; i < n; i++)
        if (json_integer_value(json_array_get(expected, i)) != ids[i])
            fail_msg("%s: id %zu is %d, expected %lld", what, i, (int)ids[i],
                     json_integer_value(json_array_get(expected, i)));
}

static void check_layout(const json_t *layout, const char *text, size_t n) {
    int32_t n_vocab = (int32_t)integer(layout, "n_vocab");
    cara_tokenizer *t = make(text, n, n_vocab);
    const cara_special_tokens *s = cara_tokenizer_special(t);
    const json_t *special = json_object_get(layout, "special");
    assert_int_equal(s->eot, integer(special, "eot"));
    assert_int_equal(s->sot, integer(special, "sot"));
    assert_int_equal(s->translate, integer(special, "translate"));
    assert_int_equal(s->transcribe, integer(special, "transcribe"));
    assert_int_equal(s->sot_lm, integer(special, "sot_lm"));
    assert_int_equal(s->sot_prev, integer(special, "sot_prev"));
    assert_int_equal(s->no_speech, integer(special, "no_speech"));
    assert_int_equal(s->no_timestamps, integer(special, "no_timestamps"));
    assert_int_equal(s->timestamp_begin, integer(special, "timestamp_begin"));
    assert_int_equal(s->timestamp_begin + 1501, n_vocab);

    json_t *languages = json_object_get(layout, "languages"), *token;
    const char *code;
    if (cara_tokenizer_is_multilingual(t)) {
        assert_int_equal(cara_tokenizer_n_languages(t), json_object_size(languages));
        assert_int_equal(s->language_begin, s->sot + 1);
        json_object_foreach(languages, code, token) {
            int index = cara_language_find(code);
            assert_int_equal(s->language_begin + index, json_integer_value(token));
            assert_string_equal(cara_language_code(index), code);
        }
    } else {
        assert_int_equal(cara_tokenizer_n_languages(t), 0);
        assert_int_equal(s->language_begin, -1);
    }
    assert_int_equal(cara_language_find("yue") < cara_tokenizer_n_languages(t), n_vocab == 51866);

    size_t count;
    const int32_t *ids = cara_tokenizer_non_speech(t, &count);
    check_ids(json_object_get(layout, "non_speech"), ids, count, "non_speech");
    ids = cara_tokenizer_blank(t, &count);
    check_ids(json_object_get(layout, "blank"), ids, count, "blank");

    /* Every special by its name; timestamps are left out. */
    cara_buf named;
    cara_buf_init(&named, 1 << 20);
    for (int32_t id = s->eot; id < s->timestamp_begin + 3; id++)
        assert_int_equal(cara_tokenizer_decode(t, &id, 1, &named), CARA_OK);
    assert_string_equal(named.data, json_string_value(json_object_get(layout, "named")));
    cara_buf_free(&named);

    const char *source = cara_tokenizer_source(t, &count);
    assert_int_equal(count, n);
    assert_memory_equal(source, text, n);
    cara_tokenizer_free(t);
}

static void check_cases(const json_t *golden, const cara_tokenizer *t) {
    cara_arena arena;
    cara_arena_init(&arena, 64u << 20);
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(golden, "cases"), i, c) {
        const json_t *text = json_object_get(c, "text");
        size_t n = json_string_length(text), n_ids;
        int32_t *ids;
        cara_error err;
        assert_int_equal(
            cara_tokenizer_encode(t, json_string_value(text), n, &arena, &ids, &n_ids, &err),
            CARA_OK);
        check_ids(json_object_get(c, "ids"), ids, n_ids, json_string_value(text));
        cara_buf back;
        cara_buf_init(&back, 1 << 20);
        cara_buf_str(&back, "");
        assert_int_equal(cara_tokenizer_decode(t, ids, n_ids, &back), CARA_OK);
        assert_int_equal(back.len, n);
        assert_memory_equal(back.data, json_string_value(text), n);
        cara_buf_free(&back);
    }
    assert_true(i > 200);
    json_array_foreach(json_object_get(golden, "decode"), i, c) {
        int32_t ids[64];
        size_t n = json_array_size(json_object_get(c, "ids"));
        for (size_t j = 0; j < n; j++)
            ids[j] = (int32_t)json_integer_value(json_array_get(json_object_get(c, "ids"), j));
        cara_buf bytes;
        cara_buf_init(&bytes, 1 << 16);
        cara_tokenizer_decode(t, ids, n, &bytes);
        char text[4096];
        cara_utf8_replace(bytes.data, bytes.len, text);
        assert_string_equal(text, json_string_value(json_object_get(c, "text")));
        cara_buf_free(&bytes);
    }
    assert_true(i > 30);
    cara_arena_free(&arena);
}

static void check_words(const json_t *golden, const cara_tokenizer *t) {
    int32_t eot = cara_tokenizer_special(t)->eot;
    size_t i, checked = 0;
    json_t *c;
    json_array_foreach(json_object_get(golden, "words"), i, c) {
        static const char *const languages[] = {"en", "es", "ja"};
        const json_t *given = json_object_get(c, "ids");
        size_t n = json_array_size(given);
        int32_t ids[600];
        assert_true(n < 600);
        for (size_t j = 0; j < n; j++)
            ids[j] = (int32_t)json_integer_value(json_array_get(given, j));
        ids[n++] = eot;
        for (size_t l = 0; l < 3; l++) {
            const json_t *expected = json_object_get(c, languages[l]);
            if (!expected)
                continue;
            cara_arena arena;
            cara_arena_init(&arena, 1 << 24);
            const cara_token_word *words;
            size_t n_words;
            assert_int_equal(cara_tokenizer_words(t, cara_language_find(languages[l]), ids, n,
                                                  &arena, &words, &n_words, NULL),
                             CARA_OK);
            assert_int_equal(n_words, json_array_size(expected));
            for (size_t w = 0; w < n_words; w++) {
                const json_t *word = json_array_get(expected, w), *text = json_array_get(word, 0);
                char without_nul[4096];
                size_t length = json_string_length(text);
                assert_true(3 * length < sizeof without_nul);
                char bytes[4096];
                memcpy(bytes, json_string_value(text), length);
                for (size_t b = 0; b < length; b++)
                    bytes[b] = (char)(bytes[b] ? bytes[b] : 0xFF);
                cara_utf8_replace(bytes, length, without_nul);
                assert_string_equal(words[w].text, without_nul);
                assert_int_equal(words[w].n_tokens, json_integer_value(json_array_get(word, 1)));
            }
            checked++;
            cara_arena_free(&arena);
        }
    }
    assert_true(checked > 90);
    /* No memory for any of its parts. */
    for (size_t limit = 0; limit < 512; limit += 64) {
        static const int32_t ids[] = {64, 65, 66};
        const cara_token_word *words;
        size_t n_words;
        cara_arena arena;
        cara_arena_init(&arena, limit);
        assert_int_equal(cara_tokenizer_words(t, 0, ids, 3, &arena, &words, &n_words, NULL),
                         CARA_ERR_MEMORY);
        cara_arena_free(&arena);
    }
}

/* Against openai/whisper's tokenizer.py; see tests/data/tokenizer/make.py. */
static void check_golden(const char *name, const char *text, size_t n) {
    size_t json_n;
    char *bytes = fixture(name, &json_n);
    json_t *golden = json_loadb(bytes, json_n, JSON_ALLOW_NUL, NULL);
    free(bytes);
    assert_non_null(golden);
    size_t i;
    json_t *layout;
    json_array_foreach(json_object_get(golden, "layouts"), i, layout) check_layout(layout, text, n);
    assert_true(i > 0);
    cara_tokenizer *t =
        make(text, n,
             (int32_t)integer(json_array_get(json_object_get(golden, "layouts"), 0), "n_vocab"));
    check_cases(golden, t);
    check_words(golden, t);
    cara_tokenizer_free(t);
    json_decref(golden);
}

static void multilingual_tokens_equal_openai_whispers(void **state) {
    (void)state;
    check_golden("tests/data/tokenizer/nano-multilingual.json", vocab_text, vocab_n);
}

static void english_only_tokens_equal_openai_whispers(void **state) {
    (void)state;
    check_golden("tests/data/tokenizer/nano-gpt2.json", vocab_text, vocab_n_english);
}

static void ids_are_the_published_ones(void **state) {
    (void)state;
    cara_tokenizer *t = make(vocab_text, vocab_n, 51865);
    assert_int_equal(cara_tokenizer_special(t)->eot, 50257);
    assert_int_equal(cara_tokenizer_special(t)->sot, 50258);
    assert_int_equal(cara_tokenizer_special(t)->language_begin + cara_language_find("en"), 50259);
    assert_int_equal(cara_tokenizer_special(t)->transcribe, 50359);
    assert_int_equal(cara_tokenizer_special(t)->no_timestamps, 50363);
    assert_int_equal(cara_tokenizer_special(t)->timestamp_begin, 50364);
    cara_tokenizer_free(t);
    t = make(vocab_text, vocab_n, 51866);
    assert_int_equal(cara_tokenizer_special(t)->timestamp_begin, 50365);
    assert_int_equal(cara_tokenizer_special(t)->language_begin + cara_language_find("yue"), 50358);
    cara_tokenizer_free(t);
    t = make(vocab_text, vocab_n_english, 51864);
    assert_int_equal(cara_tokenizer_special(t)->eot, 50256);
    assert_int_equal(cara_tokenizer_special(t)->timestamp_begin, 50363);
    cara_tokenizer_free(t);
}

/* Any bytes give ids, and the ids give the bytes with U+FFFD for what was no UTF-8. */
static void ill_formed_text_is_replaced(void **state) {
    (void)state;
    cara_tokenizer *t = make(vocab_text, vocab_n, 51865);
    cara_arena arena;
    cara_arena_init(&arena, 1 << 20);
    int32_t *ids;
    size_t n;
    cara_buf back;
    cara_buf_init(&back, 1 << 10);
    assert_int_equal(cara_tokenizer_encode(t, "a\xff\xe2\x82z\xc3", 6, &arena, &ids, &n, NULL), 0);
    assert_int_equal(cara_tokenizer_decode(t, ids, n, &back), 0);
    assert_string_equal(back.data, "a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD");
    /* Ids out of range are nothing. */
    const int32_t odd[] = {-1, INT32_MIN, 51865, INT32_MAX, 51864};
    cara_buf_clear(&back);
    assert_int_equal(cara_tokenizer_decode(t, odd, 5, &back), 0);
    assert_int_equal(back.len, 0);
    cara_buf_free(&back);
    cara_buf_init(&back, 2);
    const int32_t three[] = {0, 0, 0};
    assert_int_equal(cara_tokenizer_decode(t, three, 3, &back), CARA_ERR_MEMORY);
    cara_buf_free(&back);
    cara_arena_free(&arena);
    cara_tokenizer_free(t);
}

/* One word of a million letters: quadratic merging would take hours. */
static void a_word_of_a_million_letters_is_fast(void **state) {
    (void)state;
    cara_tokenizer *t = make(vocab_text, vocab_n, 51865);
    size_t n = 1 << 20;
    char *text = malloc(n);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = "aeiounrstl"[i * 7919 % 10];
    cara_arena arena;
    cara_arena_init(&arena, 64u << 20);
    int32_t *ids;
    size_t n_ids;
    assert_int_equal(cara_tokenizer_encode(t, text, n, &arena, &ids, &n_ids, NULL), CARA_OK);
    cara_buf back;
    cara_buf_init(&back, n);
    assert_int_equal(cara_tokenizer_decode(t, ids, n_ids, &back), CARA_OK);
    assert_int_equal(back.len, n);
    assert_memory_equal(back.data, text, n);
    assert_true(n_ids < n);
    cara_buf_free(&back);
    cara_arena_free(&arena);
    free(text);
    cara_tokenizer_free(t);
}

/* Appends a piece to a string, behind '|'. */
static int join_piece(void *ctx, const uint8_t *piece, size_t n) {
    char *joined = ctx;
    assert_true(n > 0);
    snprintf(joined + strlen(joined), 256 - strlen(joined), "%s%.*s", *joined ? "|" : "", (int)n,
             (const char *)piece);
    return 0;
}

static void split_follows_the_expression(void **state) {
    (void)state;
    static const struct {
        const char *text, *pieces; /* joined by '|' */
    } cases[] = {
        {"a b", "a| b"},
        {"a  b", "a| | b"},
        {"a   ", "a|   "},
        {"I'm", "I|'m"},
        {"I'M", "I|'|M"},
        {"''s", "''|s"},
        {" 's", " '|s"},
        {"we'll3", "we|'ll|3"},
        {"a\n\nb", "a|\n|\n|b"},
        {"x\n y", "x|\n| y"},
        {"...a", "...|a"},
        {" ...a", " ...|a"},
        {"a1½", "a|1½"},
        {"é́x", "é|\xcc\x81|x"},
        {"\u3000\u3000a", "\u3000|\u3000|a"},
        {"a\u00a0b", "a|\u00a0|b"},
        {"  'tis", " | '|tis"},
        {"\u200ba", "\u200b|a"},
        {"\u180ea", "\u180e|a"}, /* no white space, though PCRE2's \s has it */
        {"a\xc2\x85z", "a|\xc2\x85|z"},
        {"a\x1c"
         "b",
         "a|\x1c|b"},
        {"\U00020000\U0010FFFF", "\U00020000|\U0010FFFF"},
    };
    cara_splitter *splitter;
    assert_int_equal(cara_splitter_new(&splitter, NULL), CARA_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char joined[256] = "";
        assert_int_equal(cara_split(splitter, (const uint8_t *)cases[i].text, strlen(cases[i].text),
                                    join_piece, joined),
                         0);
        assert_string_equal(joined, cases[i].pieces);
    }
    cara_splitter_free(splitter);
}

static void languages_are_found_by_any_name(void **state) {
    (void)state;
    static const struct {
        const char *name, *code;
    } cases[] = {
        {"es", "es"},        {"Spanish", "es"}, {"CASTILIAN", "es"},  {"haitian creole", "ht"},
        {"haitian", "ht"},   {"yue", "yue"},    {"Cantonese", "yue"}, {"mandarin", "zh"},
        {"valencian", "ca"}, {"haw", "haw"},    {"moldovan", "ro"},   {"jw", "jw"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(cara_language_code(cara_language_find(cases[i].name)), cases[i].code);
    const char *const unknown[] = {"", "xx", "spanish ", "e", "esp"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(cara_language_find(unknown[i]), -1);
    assert_int_equal(cara_language_find(NULL), -1);
    assert_null(cara_language_code(-1));
    assert_null(cara_language_code(100));
    assert_null(cara_language_name(100));
    assert_string_equal(cara_language_name(99), "cantonese");
    for (int i = 0; i < CARA_N_LANGUAGES; i++) {
        assert_int_equal(cara_language_find(cara_language_code(i)), i);
        assert_int_equal(cara_language_find(cara_language_name(i)), i);
    }
}

/* A copy of the vocabulary with `lines` lines cut out at line `at` and `insert` put there. */
static char *edited(int at, int lines, const char *insert, size_t *n, size_t *position) {
    char *copy = malloc(vocab_n + strlen(insert) + 1);
    assert_non_null(copy);
    const char *p = vocab_text;
    for (int i = 0; i < at; i++)
        p = strchr(p, '\n') + 1;
    *position = (size_t)(p - vocab_text);
    memcpy(copy, vocab_text, *position);
    for (int i = 0; i < lines; i++)
        p = strchr(p, '\n') + 1;
    size_t size = vocab_n + strlen(insert) + 1 - *position;
    *n = *position + (size_t)snprintf(copy + *position, size, "%s%s", insert, p);
    return copy;
}

static void bad_vocabularies_are_refused(void **state) {
    (void)state;
    static const struct {
        int at, lines;
        const char *insert, *says;
        int has_position;
    } cases[] = {
        {100, 1, "hello\n", "line 101 ", 1},
        {100, 1, "hello world\n", "line 101 ", 1},
        {100, 1, " 100\n", "line 101 ", 1},
        {100, 1, "QUE= 100 x\n", "line 101 ", 1},
        {100, 1, "QUE= -1\n", "line 101 ", 1},
        {100, 1, "Q*E= 100\n", "is not base64", 1},
        {100, 1, "QUE 100\n", "is not base64", 1},
        {100, 1, "QU=E 100\n", "is not base64", 1},
        {100, 1, "=UEE 100\n", "is not base64", 1},
        {100, 1, "QUF= 100\n", "is not base64", 1},
        {100, 1, "==== 100\n", "is not base64", 1},
        {100, 1, "/v7+/v4= 99\n", "line 101 of the vocabulary repeats a rank", 1},
        {100, 1, "IQ== 100\n", "repeats the bytes", 1},
        {100, 1, "/v7+/v4= 50257\n", "rank 50257, but a model of 51865 tokens", 1},
        {100, 1, "/v7+/v4= 99999999999999999999\n", "line 101 ", 1},
        {300, 1, "", "no rank 300", 0},
        {100, 1, "/v7+/v4= 100\n", "single byte", 0},
        {50257, 0, "/v7+/v4= 50257\n", "rank 50257", 1},
        {0, 50257, "", "no rank 0", 0},
        {1, 50256, "", "no rank 1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n, position;
        char *text = edited(cases[i].at, cases[i].lines, cases[i].insert, &n, &position);
        cara_tokenizer *t = (cara_tokenizer *)vocab_text;
        cara_error err = {0};
        assert_int_equal(cara_tokenizer_new(text, n, 51865, &t, &err), CARA_ERR_VOCAB);
        assert_null(t);
        assert_int_equal(err.code, CARA_ERR_VOCAB);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.text, cases[i].says);
        assert_non_null(strstr(err.text, "tiktoken"));
        assert_int_equal(err.position, cases[i].has_position ? (int64_t)position : -1);
        free(text);
    }
    cara_tokenizer *t;
    cara_error err;
    /* The other kind of vocabulary, other sizes, no text at all. */
    assert_int_equal(cara_tokenizer_new(vocab_text, vocab_n, 51864, &t, &err), CARA_ERR_VOCAB);
    assert_non_null(strstr(err.text, "gpt2.tiktoken"));
    assert_int_equal(cara_tokenizer_new(vocab_text, vocab_n_english, 51865, &t, &err),
                     CARA_ERR_VOCAB);
    assert_non_null(strstr(err.text, "multilingual.tiktoken"));
    const int32_t sizes[] = {0, -1, 51863, 51867, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(cara_tokenizer_new(vocab_text, vocab_n, sizes[i], &t, &err),
                         CARA_ERR_VOCAB);
    assert_int_equal(cara_tokenizer_new("", 0, 51865, &t, NULL), CARA_ERR_VOCAB);
    cara_tokenizer_free(NULL);
}

/* Windows line ends, blank lines and any order are accepted; OpenAI's file has an empty token. */
static void valid_variants_are_read(void **state) {
    (void)state;
    static const struct {
        int at, lines;
        const char *insert;
    } cases[] = {
        {50256, 1, "= 50256\n"}, {50256, 1, "= 50256"}, {0, 2, "Ig== 1\r\nIQ== 0\r\n\r\n\n"},
        {50257, 0, "\n\n"},      {0, 1, "IQ==\t0  \n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n, position;
        char *text = edited(cases[i].at, cases[i].lines, cases[i].insert, &n, &position);
        cara_tokenizer *t = make(text, n, 51865);
        cara_buf first;
        cara_buf_init(&first, 16);
        assert_int_equal(cara_tokenizer_decode(t, &(int32_t){0}, 1, &first), 0);
        assert_string_equal(first.data, "!");
        cara_buf_free(&first);
        cara_tokenizer_free(t);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multilingual_tokens_equal_openai_whispers),
        cmocka_unit_test(english_only_tokens_equal_openai_whispers),
        cmocka_unit_test(ids_are_the_published_ones),
        cmocka_unit_test(ill_formed_text_is_replaced),
        cmocka_unit_test(a_word_of_a_million_letters_is_fast),
        cmocka_unit_test(split_follows_the_expression),
        cmocka_unit_test(languages_are_found_by_any_name),
        cmocka_unit_test(bad_vocabularies_are_refused),
        cmocka_unit_test(valid_variants_are_read),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
