/* `caracola bench`: from the start of a process to the first token, from a warm and from a cold
 * page cache, beside what reading the file alone takes. */
#define _GNU_SOURCE /* mincore, posix_fadvise */
#include "base/clock.h"
#include "base/files/file.h"
#include "bench/bench.h"

#include <caracola/caracola.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STARTS 3 /* of each kind, in turns */
#define BLOCK ((size_t)1 << 20)
#define PAGE 4096

extern char **environ;

/* ---- the child ---- */

int cara_bench_first_token(const char *path, int threads, cara_error *err) {
    cara_session_options session_options = {.struct_size = sizeof session_options,
                                            .threads = threads};
    cara_options options;
    cara_options_default(&options, sizeof options);
    options.language = "en"; /* or there would be two windows to encode */
    options.n_temperatures = 1;
    options.sample_len = 1;
    cara_model *model = NULL;
    cara_session *session = NULL;
    cara_audio *audio = NULL;
    cara_result *result = NULL;
    size_t n = 0;
    unsigned char *note = cara_bench_note(&n);
    int rc = note ? cara_model_open(path, NULL, &model, err)
                  : cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for 30 s of audio");
    if (!rc)
        rc = cara_session_new(model, &session_options, &session, err);
    if (!rc)
        rc = cara_audio_open_memory(note, n, NULL, &audio, err);
    if (!rc)
        rc = cara_transcribe(session, cara_audio_source(audio), &options, &result, err);
    if (!rc) {
        printf("%.6f\n", cara_clock_monotonic());
        fflush(stdout);
    }
    cara_result_free(result);
    cara_audio_close(audio);
    cara_session_free(session);
    cara_model_close(model);
    free(note);
    return rc;
}

/* ---- the parent ---- */

/* Milliseconds to the first token of a process of its own. */
static int start_once(const cara_bench_run *run, double *out, cara_error *err) {
    char threads[16], stamp[64] = "";
    snprintf(threads, sizeof threads, "%d", run->threads);
    const char *argv[] = {"caracola", "bench",     "--first_token", "--model",
                          run->path,  "--threads", threads,         NULL};
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        return cara_fail_errno(err, "cannot make a pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    double start = cara_clock_monotonic();
    pid_t pid;
    errno = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, (char **)(uintptr_t)argv, environ);
    int rc = errno ? cara_fail_errno(err, "cannot start another caracola") : CARA_OK;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (!rc) {
        size_t n = 0;
        for (ssize_t got; n < sizeof stamp - 1; n += (size_t)got)
            if ((got = read(ends[0], stamp + n, sizeof stamp - 1 - n)) <= 0)
                break;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (status != 0 || n == 0)
            rc = cara_fail(err, CARA_ERR_IO, -1, "the process that times the first token failed");
        *out = 1e3 * (strtod(stamp, NULL) - start);
    }
    close(ends[0]);
    return rc;
}

/* Drops the file from the page cache; 1 where none of it is left there. */
static int evict_file(const char *path) {
    cara_mapping file;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    if (cara_map_file(path, &file, NULL) != 0 || !file.size)
        return 0;
    size_t pages = (file.size + PAGE - 1) / PAGE, there = 0;
    unsigned char *resident = malloc(pages);
    int known = resident && mincore((void *)(uintptr_t)file.data, file.size, resident) == 0;
    for (size_t i = 0; known && i < pages; i++)
        there += resident[i] & 1;
    free(resident);
    cara_unmap(&file);
    return known && there < pages / 50;
}

/* Reads it once from its start to its end. */
static int read_once(const char *path, double *out, cara_error *err) {
    char *block = malloc(BLOCK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    double start = cara_clock_monotonic();
    while (block && fd >= 0 && (got = read(fd, block, BLOCK)) > 0)
        ;
    *out = 1e3 * (cara_clock_monotonic() - start);
    int rc = got == 0 ? CARA_OK : cara_fail_errno(err, "cannot read %s", path);
    if (fd >= 0)
        close(fd);
    free(block);
    return rc;
}

int cara_bench_measure_start(const cara_bench_run *run, cara_bench_times *out, cara_error *err) {
    double warm[STARTS], cold[STARTS], reading[STARTS];
    int is_cold = 1, rc = CARA_OK;
    for (int i = 0; i < STARTS && !rc; i++) {
        is_cold &= evict_file(run->path);
        rc = read_once(run->path, &reading[i], err);
        if (!rc)
            rc = start_once(run, &warm[i], err);
        is_cold &= evict_file(run->path);
        if (!rc)
            rc = start_once(run, &cold[i], err);
        if (!rc && run->interrupted && run->interrupted())
            rc = cara_fail(err, CARA_ERR_CANCELLED, -1, "interrupted");
    }
    if (rc)
        return rc;
    out->first_token = cara_bench_median(warm, STARTS);
    /* A file in memory, or one that others hold there, cannot be cold. */
    out->cold_first_token = is_cold ? cara_bench_median(cold, STARTS) : NAN;
    out->read_file = is_cold ? cara_bench_median(reading, STARTS) : NAN;
    return CARA_OK;
}
