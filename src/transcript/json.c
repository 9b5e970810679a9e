/* WriteJSON of whisper/utils.py. */
#include "transcript/json.h"
#include "transcript/number.h"
#include "transcript/transcript.h"

#include <inttypes.h>

/* As json.dump(ensure_ascii=False): only quotes, backslashes and control characters are escaped. */
static void write_string(const char *text, cara_buf *out) {
    cara_buf_char(out, '"');
    const char *from = text;
    for (const char *p = text;; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        cara_buf_add(out, from, (size_t)(p - from));
        from = p + 1;
        switch (c) {
        case 0:
            cara_buf_char(out, '"');
            return;
        case '"':
            cara_buf_str(out, "\\\"");
            break;
        case '\\':
            cara_buf_str(out, "\\\\");
            break;
        case '\n':
            cara_buf_str(out, "\\n");
            break;
        case '\r':
            cara_buf_str(out, "\\r");
            break;
        case '\t':
            cara_buf_str(out, "\\t");
            break;
        case '\b':
            cara_buf_str(out, "\\b");
            break;
        case '\f':
            cara_buf_str(out, "\\f");
            break;
        default:
            cara_buf_printf(out, "\\u%04x", c);
        }
    }
}

static void write_segment(const cara_segment *s, cara_buf *out) {
    cara_buf_printf(out, "{\"id\": %" PRId32 ", \"seek\": %" PRId32 ", \"start\": ", s->id,
                    s->seek);
    cara_number_write(s->start, out);
    cara_buf_str(out, ", \"end\": ");
    cara_number_write(s->end, out);
    cara_buf_str(out, ", \"text\": ");
    write_string(s->text, out);
    cara_buf_str(out, ", \"tokens\": [");
    for (size_t i = 0; i < s->n_tokens; i++)
        cara_buf_printf(out, "%s%" PRId32, i ? ", " : "", s->tokens[i]);
    cara_buf_str(out, "], \"temperature\": ");
    cara_number_write(s->temperature, out);
    cara_buf_str(out, ", \"avg_logprob\": ");
    cara_number_write(s->avg_logprob, out);
    cara_buf_str(out, ", \"compression_ratio\": ");
    cara_number_write(s->compression_ratio, out);
    cara_buf_str(out, ", \"no_speech_prob\": ");
    cara_number_write(s->no_speech_prob, out);
    cara_buf_str(out, s->cleared ? ", \"words\": []}" : "}");
}

int cara_transcript_segments_json(const cara_result *result, cara_buf *out, cara_error *err) {
    cara_buf_char(out, '[');
    for (size_t i = 0; i < result->n_segments && !out->failed; i++) {
        if (i)
            cara_buf_str(out, ", ");
        write_segment(&result->segments[i], out);
    }
    cara_buf_char(out, ']');
    if (out->failed)
        return cara_fail(err, CARA_ERR_MEMORY, -1,
                         "The transcript does not fit the %zu bytes that are allowed for it",
                         out->limit);
    return CARA_OK;
}

int cara_transcript_json(const cara_result *result, cara_buf *out, cara_error *err) {
    cara_buf_str(out, "{\"text\": ");
    write_string(result->text, out);
    cara_buf_str(out, ", \"segments\": ");
    int rc = cara_transcript_segments_json(result, out, err);
    if (rc)
        return rc;
    cara_buf_str(out, ", \"language\": ");
    write_string(result->language, out);
    cara_buf_char(out, '}');
    return CARA_OK;
}
