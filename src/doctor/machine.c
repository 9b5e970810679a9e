/* This machine: processor, memory, audio libraries, model. */
#include "doctor/doctor.h"

#include "aws/s3/s3.h"
#include "base/clock.h"
#include "base/files/file.h"
#include "base/limits.h"
#include "base/threads.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "doctor/calls.h"
#include "doctor/note.h"
#include "kernels/kernels.h"
#include "model/model.h"

#include <caracola/audio.h>
#include <caracola/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DIGEST_S 120.0 /* to read a model once */
#define DIGEST_PIECE (16 * CARA_MIB)

static void check_cpu(cara_doctor *d) {
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_cpu_level level;
    if (cara_cpu_pick(d->cpu, &level, &err)) {
        cara_checkup_add(d->checkup, "cpu", CARA_FINDING_FAILURE, "%s", err.text);
        cara_checkup_advise(d->checkup, "unset CARACOLA_CPU: the best level is then chosen");
        return;
    }
    const char *name = cara_cpu_level_name(level);
    if (level != CARA_CPU_SCALAR) {
        cara_checkup_add(d->checkup, "cpu", CARA_FINDING_OK,
                         "the processor is used at the level %s", name);
        return;
    }
    cara_checkup_add(d->checkup, "cpu", CARA_FINDING_WARNING,
                     "the processor is used at the level scalar, which works but is slow%s",
                     cara_cpu_detect() == CARA_CPU_SCALAR ? "" : " (CARACOLA_CPU asks for it)");
    cara_checkup_advise(d->checkup, cara_cpu_detect() == CARA_CPU_SCALAR
                                        ? "take a machine with AVX2, or Armv8.2 with dotprod"
                                        : "unset CARACOLA_CPU");
}

static void check_threads(cara_doctor *d) {
    int there = cara_threads_available(), used = d->threads > 0 ? d->threads : there;
    const char *s = used == 1 ? "" : "s";
    if (used > there) {
        cara_checkup_add(d->checkup, "threads", CARA_FINDING_WARNING,
                         "%d threads are asked for, but this process may run on %d", used, there);
        cara_checkup_advise(d->checkup, "set %s to at most %d, or to 0",
                            CARA_DOCTOR_SETTING(d, "--threads", "CARACOLA_THREADS"), there);
    } else if (d->memory_mb) {
        cara_checkup_add(d->checkup, "threads", CARA_FINDING_OK,
                         "%d thread%s, the processors that Lambda gives with %d MB of memory", used,
                         s, d->memory_mb);
    } else {
        cara_checkup_add(d->checkup, "threads", CARA_FINDING_OK, "%d thread%s of %d", used, s,
                         there);
    }
}

/* Half a second of silence as MP3: MPEG-2 layer III, 16 kHz mono, 8 kbit/s, 36 bytes a frame. */
static int read_mp3(cara_error *err) {
    enum { FRAME = 36, FRAMES = 14 };
    uint8_t bytes[FRAME * FRAMES] = {0};
    for (int i = 0; i < FRAMES; i++)
        memcpy(bytes + i * FRAME, "\xff\xf3\x18\xc4", 4);
    cara_audio *audio = NULL;
    int rc = cara_audio_open_memory(bytes, sizeof bytes, NULL, &audio, err);
    if (rc)
        return rc;
    float pcm[4096];
    cara_pcm_source source = cara_audio_source(audio);
    int64_t n = source.read(source.ctx, pcm, sizeof pcm / sizeof *pcm, err);
    cara_audio_close(audio);
    if (n == 0)
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, -1, "silence as MP3 gave no samples");
    return n < 0 ? (int)n : CARA_OK;
}

static void check_audio(cara_doctor *d) {
    cara_error err = {.code = CARA_OK, .position = -1};
    int rc = read_mp3(&err);
    if (!rc) {
        cara_checkup_add(
            d->checkup, "audio", CARA_FINDING_OK,
            "voice notes (Ogg/Opus), WAV, and by libav MP3, M4A, AMR and others can be "
            "read");
    } else if (rc == CARA_ERR_AUDIO_MODULE) {
        cara_checkup_add(d->checkup, "audio", CARA_FINDING_WARNING,
                         "voice notes (Ogg/Opus) and WAV can be read, MP3, M4A and AMR cannot: %s",
                         err.text);
        cara_checkup_advise(d->checkup, "%s",
                            d->memory_mb
                                ? "deliver it as a container image, which has the libav module"
                                : "voice notes do without it");
    } else {
        cara_checkup_add(d->checkup, "audio", CARA_FINDING_WARNING,
                         "the libav module does not read MP3 as it should: %s", err.text);
        cara_checkup_advise(d->checkup,
                            "build caracola-libav.so again, against the FFmpeg libraries "
                            "that are installed here");
    }
}

/* ---- the model ---- */

/* /proc/meminfo's "MemTotal:  16384 kB", in MB; 0 where it is not there. */
static long meminfo_mb(const char *name) {
    char *text = NULL;
    size_t n = 0;
    if (cara_read_file("/proc/meminfo", CARA_MIB, &text, &n, NULL))
        return 0;
    const char *line = strstr(text, name);
    long kib = line ? strtol(line + strlen(name), NULL, 10) : 0;
    free(text);
    return kib / 1024;
}

/* The container's limit, in MB; 0: none. */
static long cgroup_mb(void) {
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *text = NULL;
        size_t n = 0;
        if (cara_read_file(files[i], CARA_KIB, &text, &n, NULL))
            continue;
        long long bytes = strtoll(text, NULL, 10); /* "max" gives 0 */
        free(text);
        return bytes > 0 && bytes < (1LL << 50) ? (long)(bytes / (long long)CARA_MIB) : 0;
    }
    return 0;
}

static void check_memory(cara_doctor *d, double model_mb, const cara_dims *dims) {
    double need = model_mb + (dims ? cara_dims_working_mb(dims) : model_mb / 2 + 64);
    long total = d->memory_mb, now = 0;
    if (!total) {
        total = meminfo_mb("MemTotal:");
        now = meminfo_mb("MemAvailable:");
        long limit = cgroup_mb();
        if (limit && limit < total)
            total = limit;
        now = now < total ? now : total;
    }
    if (!total)
        cara_checkup_add(
            d->checkup, "memory", CARA_FINDING_SKIPPED,
            "how much memory there is cannot be found out; the model takes some %.0f MB", need);
    else if (need > (double)total) {
        cara_checkup_add(d->checkup, "memory", CARA_FINDING_FAILURE,
                         "the model takes some %.0f MB, and there are %ld MB", need, total);
        cara_checkup_advise(d->checkup,
                            "%s, or take a smaller model (or `caracola model convert "
                            "--compute_type int8`)",
                            d->memory_mb ? "give the function more memory"
                                         : "take a larger machine");
    } else if (now && need > (double)now) {
        cara_checkup_add(d->checkup, "memory", CARA_FINDING_WARNING,
                         "the model takes some %.0f MB of %ld MB, of which %ld MB are free now",
                         need, total, now);
        cara_checkup_advise(d->checkup, "end what else runs here, or take a smaller model");
    } else {
        cara_checkup_add(d->checkup, "memory", CARA_FINDING_OK,
                         "the model takes some %.0f MB of %ld MB", need, total);
    }
}

static int time_is_up(const cara_doctor *d, double end) {
    return cara_clock_monotonic() > end || (d->stop && d->stop(d->stop_cookie));
}

/* The file's SHA-256 in hex. CANCELLED where it takes too long. */
static int digest_of(const cara_doctor *d, const char *path, char hex[65], cara_error *err) {
    cara_mapping file;
    int rc = cara_map_file(path, &file, err);
    if (rc)
        return rc;
    double end = cara_clock_monotonic() + cara_doctor_time(d, DIGEST_S);
    cara_sha256_run run;
    int good = !cara_sha256_begin(&run);
    for (size_t at = 0; good && at < file.size && !rc; at += DIGEST_PIECE) {
        size_t n = file.size - at < DIGEST_PIECE ? file.size - at : DIGEST_PIECE;
        good = !cara_sha256_add(&run, file.data + at, n);
        if (at + n < file.size && time_is_up(d, end))
            rc = cara_fail(err, CARA_ERR_CANCELLED, -1, "there was no time to read all of it");
    }
    if ((cara_sha256_end(&run, hex) || !good) && !rc)
        rc = cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a SHA-256");
    cara_unmap(&file);
    return rc;
}

typedef struct reading {
    const cara_doctor *doctor;
    double end;
} reading;

static int on_read(void *cookie, int64_t done, int64_t total) {
    const reading *r = cookie;
    return time_is_up(r->doctor, r->end);
}

/* Where no digest is given, the model's own check sums show damage at least. */
static void check_sums(cara_doctor *d, const cara_model *model) {
    reading r = {.doctor = d, .end = cara_clock_monotonic() + cara_doctor_time(d, DIGEST_S)};
    cara_error err = {.code = CARA_OK, .position = -1};
    int rc = cara_model_check(model, on_read, &r, &err);
    if (!rc) {
        cara_checkup_add(d->checkup, "digest", CARA_FINDING_OK,
                         "the model's own check sums are right (CARACOLA_MODEL_SHA256, which would "
                         "say which model is meant, is not set)");
    } else if (rc == CARA_ERR_CANCELLED) {
        cara_checkup_add(
            d->checkup, "digest", CARA_FINDING_WARNING,
            "the model's check sums were not compared: there was no time to read all of "
            "it");
        cara_checkup_advise(d->checkup, "a slow disk or share makes the first note slow, too");
    } else {
        cara_checkup_add(d->checkup, "digest", CARA_FINDING_FAILURE, "the model is damaged: %s",
                         err.text);
        cara_checkup_advise(d->checkup,
                            "a cut copy or a failing disk does that: compare `sha256sum` at both "
                            "ends");
    }
}

static void check_digest(cara_doctor *d, const char *path, const cara_model *model) {
    const char *want = d->model_sha256;
    if (!want) {
        check_sums(d, model);
        return;
    }
    uint8_t digest[32];
    if (cara_hex_decode(want, digest, sizeof digest)) {
        cara_checkup_add(d->checkup, "digest", CARA_FINDING_FAILURE,
                         "CARACOLA_MODEL_SHA256 is no SHA-256 in hex: \"%.80s\"", want);
        cara_checkup_advise(d->checkup, "set it to what `sha256sum` says of the right file");
        return;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    char hex[65];
    int rc = digest_of(d, path, hex, &err);
    if (rc == CARA_ERR_CANCELLED)
        cara_checkup_add(d->checkup, "digest", CARA_FINDING_WARNING,
                         "the model's digest was not compared: %s", err.text);
    else if (rc)
        cara_checkup_add(d->checkup, "digest", CARA_FINDING_FAILURE,
                         "the model's digest cannot be computed: %s", err.text);
    else if (strcasecmp(hex, want) != 0) {
        cara_checkup_add(d->checkup, "digest", CARA_FINDING_FAILURE,
                         "the model is not the one that is meant: its SHA-256 is %s, and "
                         "CARACOLA_MODEL_SHA256 says %s",
                         hex, want);
        cara_checkup_advise(
            d->checkup, "%s",
            d->model_source ? "invoke the function with {\"caracola\":\"fill\"}: it fetches the "
                              "model again"
                            : "copy the model again, or correct CARACOLA_MODEL_SHA256");
    } else
        cara_checkup_add(d->checkup, "digest", CARA_FINDING_OK,
                         "the model's SHA-256 is what CARACOLA_MODEL_SHA256 says");
}

/* A model that the function streams into memory. */
static void check_streamed(cara_doctor *d) {
    const char *bucket = d->model + 5;
    size_t n = strcspn(bucket, "/");
    char name[64];
    snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : 0, bucket);
    if (!d->aws) {
        cara_checkup_add(d->checkup, "model", CARA_FINDING_SKIPPED,
                         "the model is streamed from %.200s, which cannot be checked without AWS",
                         d->model);
        return;
    }
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_s3_object object = {.size = -1};
    cara_doctor_limit_calls(d);
    int rc = cara_s3_head(d->aws, name, bucket[n] ? bucket + n + 1 : "", &object, &err);
    if (rc) {
        d->unusable = 1;
        cara_checkup_add(d->checkup, "model", CARA_FINDING_FAILURE,
                         "the model %.200s cannot be fetched: %s", d->model, err.text);
        cara_checkup_advise(d->checkup, "check %s, and that the role may s3:GetObject it",
                            CARA_DOCTOR_SETTING(d, "--model", "CARACOLA_MODEL"));
        return;
    }
    cara_checkup_add(
        d->checkup, "model", CARA_FINDING_OK,
        "the model is streamed from %.200s (%.1f MB), and its digest checked on the way", d->model,
        (double)object.size / 1e6);
    check_memory(d, (double)object.size / 1e6, NULL);
}

static const char *no_name(void *cookie, const char *option) {
    return NULL;
}

static void check_model(cara_doctor *d) {
    if (!d->model) {
        d->unusable = 1;
        cara_checkup_add(d->checkup, "model", CARA_FINDING_FAILURE, "%s", d->model_error);
        cara_checkup_advise(d->checkup, "name one with %s: the README says where to get one",
                            CARA_DOCTOR_SETTING(d, "--model", "CARACOLA_MODEL"));
        return;
    }
    if (strncmp(d->model, "s3://", 5) == 0) {
        check_streamed(d);
        return;
    }
    struct stat st;
    cara_error err = {.code = CARA_OK, .position = -1};
    cara_model *model = NULL;
    int rc;
    if (stat(d->model, &st) != 0)
        rc = cara_fail_errno(&err, "cannot read %s", d->model);
    else if (!S_ISREG(st.st_mode)) /* opening a pipe would wait */
        rc = cara_fail(&err, CARA_ERR_NOT_FOUND, -1, "%s is no file", d->model);
    else
        rc = cara_model_open(d->model, d->vocab, &model, &err);
    d->unusable = rc != 0;
    if (rc == CARA_ERR_VOCAB) {
        cara_error_name_options(&err, no_name, NULL); /* the advice says how to name one */
        cara_checkup_add(d->checkup, "vocabulary", CARA_FINDING_FAILURE,
                         "the model has no vocabulary that fits: %s", err.text);
        cara_checkup_advise(d->checkup,
                            "name its .tiktoken file with %s, put it beside the model, or make one "
                            "file of both: `caracola model convert`",
                            CARA_DOCTOR_SETTING(d, "--vocab", "CARACOLA_VOCAB"));
        return;
    }
    if (rc) {
        cara_checkup_add(d->checkup, "model", CARA_FINDING_FAILURE, "the model cannot be used: %s",
                         err.text);
        if (d->model_source)
            cara_checkup_advise(d->checkup,
                                "have it fetched from %.200s: invoke the function with "
                                "{\"caracola\":\"fill\"}",
                                d->model_source);
        else
            cara_checkup_advise(d->checkup,
                                "name a .cara or .pt file with %s; the README says "
                                "where to get one",
                                CARA_DOCTOR_SETTING(d, "--model", "CARACOLA_MODEL"));
        return;
    }
    const char *name = cara_model_name(model);
    d->english_only = !cara_model_is_multilingual(model);
    d->is_demo = strcmp(name, "demo") == 0;
    if (d->is_demo) {
        cara_checkup_add(
            d->checkup, "model", CARA_FINDING_WARNING,
            "the model is the demo model, which knows some 420 words of fishing reports "
            "and no human voice");
        cara_checkup_advise(d->checkup,
                            "for real voices get a real model, such as medium.pt, and "
                            "name it with %s: see \"Get a real model\" in the README",
                            CARA_DOCTOR_SETTING(d, "--model", "CARACOLA_MODEL"));
    } else {
        cara_checkup_add(d->checkup, "model", CARA_FINDING_OK, "the model %s (%s, %.1f MB) opens",
                         d->model, name, (double)st.st_size / 1e6);
    }
    cara_checkup_add(d->checkup, "vocabulary", CARA_FINDING_OK, "its vocabulary fits%s",
                     d->english_only ? "; it knows English only" : "");
    check_digest(d, d->model, model);
    check_memory(d, (double)st.st_size / 1e6, cara_model_dims(model));
    cara_model_close(model);
}

void cara_doctor_machine(cara_doctor *doctor) {
    static void (*const checks[])(cara_doctor *) = {check_cpu, check_threads, check_audio,
                                                    check_model, cara_doctor_note};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (doctor->stop && doctor->stop(doctor->stop_cookie))
            return;
        checks[i](doctor);
        cara_checkup_flush(doctor->checkup);
    }
}
