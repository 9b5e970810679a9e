/* Every file of shared/cases/audio: files that other programs play and we did not, or which cost
 * too much. ffmpeg-seconds.json says how long each is to ffmpeg, or null where it is to be refused.
 */
#include "audio_test.h"

#include <jansson.h>
#include <math.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_SECONDS 1.0
#define MOST_KIB (300L * 1024)

typedef struct outcome {
    int code;
    int64_t samples;
    cara_gaps gaps;
    double took_s;
    long peak_kib;
    char text[200];
} outcome;

static void folder(char *dst, size_t size) {
    const char *shared = getenv("CARACOLA_SHARED"), *source = getenv("CARACOLA_SOURCE_DIR");
    assert_non_null(source);
    if (shared)
        snprintf(dst, size, "%s/cases/audio", shared);
    else
        snprintf(dst, size, "%s/../shared/cases/audio", source);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static outcome read_all(const char *path) {
    outcome o = {0};
    cara_audio *audio;
    cara_error err = {0};
    double start = now();
    o.code = cara_audio_open_file(path, NULL, &audio, &err);
    if (!o.code) {
        static float block[4096];
        cara_pcm_source source = cara_audio_source(audio);
        int64_t got;
        while ((got = source.read(source.ctx, block, 4096, &err)) > 0)
            o.samples += got;
        o.code = (int)got;
        o.gaps = cara_audio_gaps(audio);
        cara_audio_close(audio);
    }
    o.took_s = now() - start;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    o.peak_kib = usage.ru_maxrss;
    snprintf(o.text, sizeof o.text, "%.199s", err.text);
    return o;
}

/* In a process of its own, whose memory is measured alone. */
static outcome read_apart(const char *path) {
    outcome o = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        o = read_all(path);
        _exit(write(ends[1], &o, sizeof o) == (ssize_t)sizeof o ? 0 : 1);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], &o, sizeof o);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (n != (ssize_t)sizeof o || status != 0)
        fail_msg("%s: the process that decodes ended with status %d", path, status);
    return o;
}

static void every_file_is_decoded_as_ffmpeg_does(void **state) {
    (void)state;
    char dir[1024], path[2048];
    folder(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/ffmpeg-seconds.json", dir);
    json_error_t bad;
    json_t *table = json_load_file(path, 0, &bad);
    if (!table)
        fail_msg("%s: %s", path, bad.text);
    const char *name;
    json_t *seconds;
    int seen = 0, wrong = 0;
    json_object_foreach(table, name, seconds) {
        snprintf(path, sizeof path, "%s/%s", dir, name);
        outcome o = read_apart(path);
        double got = (double)o.samples / CARA_SAMPLE_RATE - o.gaps.seconds;
        double want = json_number_value(seconds);
        int refused = o.code == CARA_ERR_AUDIO_CORRUPT || o.code == CARA_ERR_AUDIO_LIMIT ||
                      o.code == CARA_ERR_AUDIO_FORMAT;
        int ok = json_is_null(seconds) ? refused && o.took_s < MOST_SECONDS
                                       : !o.code && fabs(got - want) <= 0.01 * want;
        ok = ok && o.peak_kib < MOST_KIB;
        if (!ok)
            print_error("%s: code %d (%s), %.3f s of %.3f, took %.2f s and %ld KiB\n", name, o.code,
                        o.text, got, want, o.took_s, o.peak_kib);
        wrong += !ok;
        seen++;
    }
    json_decref(table);
    assert_true(seen >= 12);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_is_decoded_as_ffmpeg_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
