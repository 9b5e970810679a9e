#include "pipeline/record/partial.h"

#include "base/limits.h"
#include "json/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* openai/whisper's transcribe() takes no prompt from before a window that was decoded at more. */
#define PROMPT_RESET_TEMPERATURE 0.5

/* The segments that still count as context, and how many tokens they have; -1 where a segment is
 * not as we write it. */
static int find_context(const json_t *segments, size_t *first, size_t *n_tokens) {
    size_t i;
    const json_t *segment;
    *first = *n_tokens = 0;
    json_array_foreach(segments, i, segment) {
        const json_t *tokens = json_object_get(segment, "tokens");
        const json_t *temperature = json_object_get(segment, "temperature");
        if (!json_is_array(tokens) || !json_is_number(temperature) ||
            !json_is_string(json_object_get(segment, "text")))
            return -1;
        *n_tokens += json_array_size(tokens);
        if (json_number_value(temperature) > PROMPT_RESET_TEMPERATURE) {
            *first = i + 1;
            *n_tokens = 0;
        }
    }
    return 0;
}

static int read_tokens(const json_t *segments, size_t first, size_t n, int32_t *out) {
    size_t at = 0;
    for (size_t i = first; i < json_array_size(segments); i++) {
        size_t k;
        const json_t *token;
        json_array_foreach(json_object_get(json_array_get(segments, i), "tokens"), k, token) {
            json_int_t value = json_integer_value(token);
            if (at == n || !json_is_integer(token) || value < 0 || value > INT32_MAX)
                return -1;
            out[at++] = (int32_t)value;
        }
    }
    return 0;
}

int cara_partial_read(const char *bytes, size_t n, const char *model, cara_partial *out,
                      cara_error *err) {
    *out = (cara_partial){.kept_frame = 0};
    json_t *root;
    int rc = cara_record_parse(bytes, n, &root, err);
    if (rc)
        return rc;
    json_t *transcription = json_object_get(root, "transcription");
    const json_t *segments = json_object_get(transcription, "segments");
    const char *its_model = cara_json_text(json_object_get(root, "caracola"), "model");
    double at = json_number_value(json_object_get(transcription, "resume_at"));
    size_t first = 0, n_tokens = 0;
    if (!(at > 0 && at <= CARA_LIMIT_AUDIO_SECONDS))
        goto done;
    out->kept_frame = (int64_t)rint(at * 100);
    if (!its_model || !model || strcmp(its_model, model) != 0 || !json_is_array(segments) ||
        find_context(segments, &first, &n_tokens))
        goto done;
    out->tokens = malloc((n_tokens + 1) * sizeof *out->tokens);
    if (!out->tokens) {
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read a record");
        goto done;
    }
    if (read_tokens(segments, first, n_tokens, out->tokens))
        goto done;
    out->transcription = json_incref(transcription);
    out->resume = (cara_resume){.frame = out->kept_frame,
                                .language = cara_json_text(transcription, "language"),
                                .tokens = out->tokens,
                                .n_tokens = n_tokens};
done:
    json_decref(root);
    if (!out->transcription) {
        free(out->tokens);
        out->tokens = NULL;
    }
    return rc;
}

void cara_partial_free(cara_partial *partial) {
    json_decref(partial->transcription);
    free(partial->tokens);
    *partial = (cara_partial){.kept_frame = 0};
}

/* The earlier segments, then the new ones with ids that go on from them. */
static int join_segments(const json_t *before, json_t *now) {
    json_t *earlier = json_object_get(before, "segments"),
           *later = json_object_get(now, "segments");
    json_t *all = json_array();
    int failed = !all || json_array_extend(all, earlier) || json_array_extend(all, later);
    size_t i;
    json_t *segment;
    json_array_foreach(all, i, segment) failed |=
        json_object_set_new(segment, "id", json_integer((json_int_t)i));
    return json_object_set_new(now, "segments", all) || failed;
}

void cara_partial_join(const cara_partial *before, int64_t frame, cara_record *record) {
    json_t *now = json_object_get(record->root, "transcription");
    if (before->transcription) {
        const json_t *a = json_object_get(before->transcription, "text");
        const json_t *b = json_object_get(now, "text");
        cara_buf text;
        /* What both have; whether the record can is seen when it is written. */
        cara_buf_init(&text, CARA_LIMIT_RECORD_BYTES + CARA_LIMIT_RESULT_BYTES);
        int failed = join_segments(before->transcription, now);
        failed |= cara_buf_add(&text, json_string_value(a), json_string_length(a));
        failed |= cara_buf_add(&text, json_string_value(b), json_string_length(b));
        failed |= cara_buf_str(&text, "");
        if (!failed)
            failed = json_object_set_new(now, "text", json_stringn(text.data, text.len));
        if (json_is_false(json_object_get(before->transcription, "no_speech")))
            failed |= json_object_set_new(now, "no_speech", json_false());
        cara_buf_free(&text);
        record->failed |= failed;
    }
    if (json_is_true(json_object_get(now, "cut_short")))
        record->failed |=
            json_object_set_new(now, "resume_at", json_real((double)frame / 100)) != 0;
}
