#include "app/model/stream.h"

#include "app/model/describe.h"
#include "model/model.h"

/* Smaller than what is best for the whole: the first layers should not wait for seven parts beside
 * theirs. docs/deploy.md has figures. */
#define PART_BYTES (4 * CARA_MIB)

int cara_model_stream_init(cara_model_stream *s, const char *url, const char *sha256,
                           cara_error *err) {
    *s = (cara_model_stream){.sha256 = sha256};
    int rc = cara_s3_url_split(url, s->bucket, s->key, err);
    return rc ? rc : cara_s3_digest_check(sha256, "CARACOLA_MODEL_SHA256", err);
}

static int arrived(void *cookie, uint64_t offset, uint64_t n, cara_error *err) {
    const cara_model_stream *s = cookie;
    return cara_s3_memory_wait(s->memory, offset + n, s->stop, s->stop_cookie, err);
}

static int wait_for(const cara_model_stream *s, uint64_t end, cara_error *err) {
    return cara_s3_memory_wait(s->memory, end, s->stop, s->stop_cookie, err);
}

/* Waits for as much as opening takes: the head of a `.cara`; all of a `.pt`, whose directory is at
 * its end. */
static int wait_for_head(const cara_model_stream *s, cara_slice bytes, int *whole,
                         cara_error *err) {
    size_t first = bytes.len < 256 ? bytes.len : 256;
    int rc = wait_for(s, first, err);
    if (rc)
        return rc;
    int64_t head = cara_cara_head_size(cara_slice_of(bytes.ptr, first));
    *whole = head < 0 || (uint64_t)head > bytes.len;
    if (!*whole)
        return wait_for(s, (uint64_t)head, err);
    return cara_s3_memory_verify(s->memory, s->stop, s->stop_cookie, err);
}

static int stream_open(void *ctx, cara_stop_fn stop, void *cookie, cara_model **out,
                       cara_error *err) {
    cara_model_stream *s = ctx;
    s->stop = stop;
    s->stop_cookie = cookie;
    const cara_s3_fetch_options from = {.bucket = s->bucket,
                                        .key = s->key,
                                        .connections = s->connections,
                                        .part = s->part ? s->part : PART_BYTES};
    int whole = 0, rc = CARA_OK;
    *out = NULL;
    if (!s->memory) /* else an earlier try was stopped, and what has come meanwhile is not lost */
        rc = cara_s3_memory_open(&from, s->sha256, s->limit, &s->memory, err);
    if (rc)
        return rc;
    cara_slice bytes = cara_s3_memory_bytes(s->memory);
    rc = wait_for_head(s, bytes, &whole, err);
    if (rc)
        return rc;
    rc = cara_model_open_bytes(bytes, s->key, out, err);
    if (!rc)
        rc = cara_model_find_vocab(*out, s->key, s->vocab_path, err);
    if (rc) {
        cara_error_prefix(err, "s3://%s/%s", s->bucket, s->key);
        cara_model_close(*out);
        *out = NULL;
        return rc;
    }
    char text[200];
    cara_model_describe(*out, text, sizeof text);
    cara_log_line(s->log, CARA_LOG_INFO, "the model in s3://%s/%s is %s", s->bucket, s->key, text);
    if (!whole)
        cara_model_set_arrival(*out, (cara_arrival){arrived, s});
    return CARA_OK;
}

static int stream_verify(void *ctx, cara_error *err) {
    const cara_model_stream *s = ctx;
    return cara_s3_memory_verify(s->memory, s->stop, s->stop_cookie, err);
}

static void stream_close(void *ctx) {
    cara_model_stream *s = ctx;
    cara_s3_memory_close(s->memory);
    s->memory = NULL;
}

cara_model_source cara_model_stream_source(cara_model_stream *stream) {
    return (cara_model_source){stream_open, stream_verify, stream_close, stream};
}
