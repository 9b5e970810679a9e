#include "transcript/result_json.h"
#include "json/json.h"

#include <math.h>
#include <string.h>

static json_t *string(const char *text) {
    return text ? cara_json_string(text, strlen(text)) : json_string("");
}

static json_t *words_json(const cara_segment *s) {
    json_t *words = json_array();
    int failed = 0;
    for (size_t i = 0; i < s->n_words; i++) {
        const cara_word *w = &s->words[i];
        json_t *word = json_object();
        failed |= json_object_set_new(word, "word", string(w->word));
        failed |= json_object_set_new(word, "start", cara_json_real(w->start));
        failed |= json_object_set_new(word, "end", cara_json_real(w->end));
        failed |= json_object_set_new(word, "probability", cara_json_real(w->probability));
        failed |= json_array_append_new(words, word);
    }
    if (!failed)
        return words;
    json_decref(words);
    return NULL;
}

/* jansson's setters and appenders take NULL for any argument and then fail, so one check at the end
 * finds any lack of memory. */
json_t *cara_segment_json(const cara_segment *s) {
    json_t *object = json_object(), *tokens = json_array();
    int failed = 0;
    for (size_t i = 0; i < s->n_tokens; i++)
        failed |= json_array_append_new(tokens, json_integer(s->tokens[i]));
    failed |= json_object_set_new(object, "id", json_integer(s->id));
    failed |= json_object_set_new(object, "seek", json_integer(s->seek));
    failed |= json_object_set_new(object, "start", cara_json_real(s->start));
    failed |= json_object_set_new(object, "end", cara_json_real(s->end));
    failed |= json_object_set_new(object, "text", string(s->text));
    failed |= json_object_set_new(object, "tokens", tokens);
    failed |= json_object_set_new(object, "temperature", cara_json_real(s->temperature));
    failed |= json_object_set_new(object, "avg_logprob", cara_json_real(s->avg_logprob));
    failed |=
        json_object_set_new(object, "compression_ratio", cara_json_real(s->compression_ratio));
    failed |= json_object_set_new(object, "no_speech_prob", cara_json_real(s->no_speech_prob));
    if (s->words)
        failed |= json_object_set_new(object, "words", words_json(s));
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}

json_t *cara_transcript_json(const cara_result *result) {
    json_t *object = json_object(), *segments = json_array();
    int failed = 0;
    for (size_t i = 0; i < result->n_segments && !failed; i++) {
        json_t *segment = cara_segment_json(&result->segments[i]);
        failed |= json_array_append_new(segments, segment);
        if (!failed && result->segments[i].cleared && !result->segments[i].words)
            failed |= json_object_set_new(segment, "words", json_array());
    }
    failed |= json_object_set_new(object, "text", string(result->text));
    failed |= json_object_set_new(object, "segments", segments);
    failed |= json_object_set_new(object, "language", string(result->language));
    if (result->cut_short)
        failed |= json_object_set_new(object, "cut_short", json_true());
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}

json_t *cara_gaps_json(const cara_gaps *gaps) {
    return json_pack("{s:I, s:f}", "count", (json_int_t)gaps->count, "seconds",
                     round(gaps->seconds * 1000) / 1000);
}
