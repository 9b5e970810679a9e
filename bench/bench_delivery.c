/* Seconds from the start of the process to the first token, for one way of delivering the model.
 *
 *     bench_delivery FILE|s3://bucket/key AUDIO [cold] [threads N] [connections N] [part MIB]
 *     bench_delivery s3://bucket/key fill FILE [connections N] [part MIB]
 *
 * cold: the file's pages are dropped first, so that it comes from the disk. A streamed or filled
 * model needs CARACOLA_MODEL_SHA256. One line of JSON. bench/model-delivery.mjs runs it. */
#define _GNU_SOURCE
#include "app/model/fetch.h"
#include "app/model/path.h"
#include "app/model/stream.h"
#include "base/clock.h"
#include "base/files/file.h"
#include "base/limits.h"
#include "net/http.h"

#include <caracola/audio.h>
#include <caracola/model.h>
#include <caracola/transcribe.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int no_stop(void *cookie) {
    return 0;
}

static double processor(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static int drop(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int fill(const char *url, const char *path, const cara_model_stream *how, cara_error *err) {
    const cara_s3_fill one = {.from = {.connections = how->connections, .part = how->part},
                              .sha256 = getenv("CARACOLA_MODEL_SHA256"),
                              .path = path};
    cara_s3_filled filled;
    double started = cara_clock_monotonic();
    int rc = cara_model_fetch(url, "CARACOLA_MODEL_SHA256", &one, &filled, err);
    if (!rc)
        printf("{\"bytes\": %llu, \"fill_s\": %.3f, \"processor_s\": %.3f}\n",
               (unsigned long long)filled.bytes, cara_clock_monotonic() - started, processor());
    return rc;
}

/* As the function does it: one window, its first token, and the digest where it is streamed. */
static int decode(const char *name, const char *note, int cold, int threads,
                  cara_model_stream *stream, cara_error *err) {
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_audio *audio = NULL;
    cara_result *result = NULL;
    cara_model_source source = {.open = NULL};
    int rc = CARA_OK;
    if (!cara_model_is_s3(name) && cold && drop(name))
        rc = cara_fail_errno(err, "cannot drop the pages of %s", name);
    double started = cara_clock_monotonic();
    if (!rc && cara_model_is_s3(name)) {
        int connections = stream->connections;
        size_t part = stream->part;
        rc = cara_model_stream_init(stream, name, getenv("CARACOLA_MODEL_SHA256"), err);
        stream->connections = connections;
        stream->part = part;
        source = cara_model_stream_source(stream);
        if (!rc)
            rc = source.open(source.ctx, no_stop, NULL, &model, err);
    } else if (!rc) {
        rc = cara_model_open(name, NULL, &model, err);
    }
    const cara_session_options options = {.struct_size = sizeof options, .threads = threads};
    if (!rc)
        rc = cara_session_new(model, &options, &session, err);
    double opened = cara_clock_monotonic() - started;
    if (!rc)
        rc = cara_audio_open_file(note, NULL, &audio, err);
    cara_options o;
    cara_options_default(&o, sizeof o);
    o.language = "es";
    o.n_temperatures = 1;
    o.sample_len = 1;
    if (!rc)
        rc = cara_transcribe(session, cara_audio_source(audio), &o, &result, err);
    double token = cara_clock_monotonic() - started;
    if (!rc && source.verify)
        rc = source.verify(source.ctx, err);
    if (!rc)
        printf("{\"open_s\": %.3f, \"token_s\": %.3f, \"verified_s\": %.3f, \"encode_s\": %.3f, "
               "\"decode_s\": %.3f, \"processor_s\": %.3f}\n",
               opened, token, cara_clock_monotonic() - started, result->timings.encode_s,
               result->timings.decode_s, processor());
    cara_result_free(result);
    cara_audio_close(audio);
    cara_session_free(session);
    cara_model_close(model);
    if (source.close)
        source.close(source.ctx);
    return rc;
}

int main(int argc, char **argv) {
    cara_error err = {.code = CARA_OK, .position = -1};
    static cara_model_stream stream;
    int cold = 0, threads = 1;
    if (argc < 3)
        return 2;
    int fills = strcmp(argv[2], "fill") == 0 && argc > 3;
    for (int i = 3 + fills; i < argc; i++) {
        long n = i + 1 < argc ? strtol(argv[i + 1], NULL, 10) : 0;
        if (strcmp(argv[i], "cold") == 0)
            cold = 1;
        else if (strcmp(argv[i], "threads") == 0 && n > 0)
            threads = (int)n, i++;
        else if (strcmp(argv[i], "connections") == 0 && n > 0)
            stream.connections = (int)n, i++;
        else if (strcmp(argv[i], "part") == 0 && n > 0)
            stream.part = (size_t)n * CARA_MIB, i++;
        else
            return 2;
    }
    int rc = fills ? fill(argv[1], argv[3], &stream, &err)
                   : decode(argv[1], argv[2], cold, threads, &stream, &err);
    if (rc)
        fprintf(stderr, "bench_delivery: %s\n", err.text);
    return rc ? 1 : 0;
}
