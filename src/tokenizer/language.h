/* The languages of openai/whisper's tokenizer.py, in its order. */
#ifndef TOKENIZER_LANGUAGE_H
#define TOKENIZER_LANGUAGE_H

#define CARA_N_LANGUAGES 100

/* "en", "zh", ...; NULL out of 0..99. */
const char *cara_language_code(int index);
/* "english", "chinese", ... */
const char *cara_language_name(int index);
/* Index of a code, an English name or one of tokenizer.py's aliases ("castilian"), in any case of
 * letters; -1 where there is none. */
int cara_language_find(const char *code_or_name);

#endif
