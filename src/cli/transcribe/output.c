#include "cli/transcribe/output.h"

#include "base/limits.h"
#include "base/memory/buf.h"
#include "cli/shown.h"
#include "transcript/result_json.h"
#include "transcript/timestamp.h"
#include "transcript/transcript.h"
#include "json/json.h"

#include <string.h>

/* "LABEL:", one line whatever the name holds. */
static void print_label(const char *label) {
    char safe[16 * 1024];
    cara_cli_shown(label, safe, sizeof safe);
    printf("%s:", safe);
}

void cara_output_segment(const char *label, const cara_segment *segment) {
    cara_buf line;
    cara_buf_init(&line, CARA_MIB);
    cara_buf_char(&line, '[');
    cara_transcript_timestamp(segment->start, 0, '.', &line);
    cara_buf_str(&line, " --> ");
    cara_transcript_timestamp(segment->end, 0, '.', &line);
    cara_buf_printf(&line, "] %s\n", segment->text);
    if (!line.failed) {
        if (label) {
            print_label(label);
            putchar(' ');
        }
        fwrite(line.data, 1, line.len, stdout);
        fflush(stdout); /* as it is transcribed; a failure stays in ferror() */
    }
    cara_buf_free(&line);
}

void cara_output_silence(const char *label) {
    print_label(label);
    putchar('\n');
}

/* The txt file's lines, less the empty ones of segments that transcribe() cleared. */
int cara_output_text(const char *label, const cara_result *result, cara_error *err) {
    cara_buf text;
    cara_buf_init(&text, CARA_LIMIT_RESULT_BYTES);
    int printed = 0;
    int rc = cara_transcript_write(result, CARA_TRANSCRIPT_TXT, NULL, cara_transcript_to_buf, &text,
                                   err);
    for (size_t at = 0; rc == CARA_OK && at < text.len;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t n = end ? (size_t)(end - (text.data + at)) + 1 : text.len - at;
        if (n > 1 || !end) {
            if (label) {
                print_label(label);
                putchar(' ');
            }
            fwrite(text.data + at, 1, n, stdout);
            printed = 1;
        }
        at += n;
    }
    if (rc == CARA_OK && label && !printed)
        cara_output_silence(label);
    cara_buf_free(&text);
    return rc;
}

static json_t *string(const char *text) {
    return cara_json_string(text, strlen(text));
}

/* openai's object with ours before its members, on one line. */
int cara_output_json(const cara_transcribe_flags *flags, const cara_input *input,
                     const cara_result *result, cara_error *err) {
    json_t *line = json_object(), *transcript = cara_transcript_json(result);
    int failed = json_object_set_new(line, "file", string(input->path));
    if (flags->draft_model)
        failed |=
            json_object_set_new(line, "draft",
                                json_pack("{s:I, s:I}", "guessed", (json_int_t)result->drafted,
                                          "right", (json_int_t)result->drafted_right));
    failed |= json_object_set_new(line, "duration", cara_json_real(result->duration_s));
    failed |= json_object_set_new(line, "no_speech", json_boolean(result->no_speech));
    failed |= json_object_set_new(line, "cut_short", json_boolean(result->cut_short));
    failed |= json_object_set_new(line, "audio_gaps", cara_gaps_json(&result->audio_gaps));
    failed |= json_object_update(line, transcript);
    json_decref(transcript);
    if (failed) {
        json_decref(line);
        line = NULL;
    }
    if (cara_cli_print_json(line, CARA_JSON_PYTHON))
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the JSON of %s", input->path);
    return CARA_OK;
}

void cara_output_json_error(const cara_input *input, const cara_error *err) {
    json_t *line = json_pack("{s:o, s:s, s:o}", "file", string(input->path), "error",
                             cara_code_name(err->code), "message", string(err->text));
    (void)cara_cli_print_json(line, CARA_JSON_PYTHON); /* a failure stays in ferror() */
}
