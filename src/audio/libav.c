/* Finds and loads caracola-libav.so when a format needs it, and no earlier: its libraries are
 * larger than all the rest, and voice notes do not need them. */
#define _GNU_SOURCE /* dladdr */
#include "audio/audio_decoder.h"
#include "audio/libav_module.h"
#include "audio/mp4.h"
#include "base/limits.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct libav_decoder {
    cara_audio_decoder base;
    cara_libav_file file;
    cara_mp4 mp4;
    void *handle;
    const cara_libav_module *module;
    cara_libav_stream *stream;
} libav_decoder;

/* Cuts the last name of a path, and the slash before it; 0 where there is none. */
static int cut_name(char *path) {
    char *slash = strrchr(path, '/');
    if (!slash)
        return 0;
    *slash = 0;
    return 1;
}

/* The folder of the running program, without the last slash; 0 where it is unknown. */
static int program_folder(char *dst, size_t size) {
    ssize_t n = readlink("/proc/self/exe", dst, size - 1);
    if (n <= 0 || (size_t)n >= size - 1)
        return 0;
    dst[n] = 0;
    return cut_name(dst);
}

/* The same of libcaracola.so; of the program where it is linked statically. */
static int library_folder(char *dst, size_t size) {
    static const char here;
    Dl_info info;
    if (!dladdr(&here, &info) || !info.dli_fname)
        return 0;
    int n = snprintf(dst, size, "%s", info.dli_fname);
    return n > 0 && (size_t)n < size && cut_name(dst);
}

/* Opens folder/suffix/FILE where it is there. 1: loaded; 0: not there; -1: there but unusable, and
 * `why` says so. */
static int load_from(libav_decoder *d, const char *folder, const char *suffix, char *why,
                     size_t why_size) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s%s/%s", folder, suffix, CARA_LIBAV_MODULE_FILE);
    if (n < 0 || (size_t)n >= sizeof path || access(path, R_OK) != 0)
        return 0;
    /* NODELETE: the libraries behind it are not made to be unloaded. DEEPBIND: see
     * libav_memory.h; sanitizers, which replace malloc() themselves, refuse it. */
    int deep = dlsym(RTLD_DEFAULT, "__sanitizer_get_heap_size") ? 0 : RTLD_DEEPBIND;
    d->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | deep);
    if (!d->handle) {
        snprintf(why, why_size, "%s", dlerror());
        return -1;
    }
    d->module = dlsym(d->handle, CARA_LIBAV_MODULE_SYMBOL);
    if (d->module && d->module->abi == CARA_LIBAV_MODULE_ABI &&
        d->module->size == sizeof *d->module)
        return 1;
    snprintf(why, why_size, "%.200s is of another version of caracola", path);
    dlclose(d->handle);
    d->handle = NULL;
    d->module = NULL;
    return -1;
}

static int load(libav_decoder *d, const char *format, cara_error *err) {
    char why[320] = "", folder[PATH_MAX];
    const char *named = getenv("CARACOLA_MODULE_DIR");
    int rc = 0;
    if (named && *named) {
        rc = load_from(d, named, "", why, sizeof why); /* that folder and no other */
    } else {
        if (program_folder(folder, sizeof folder)) {
            static const char *const near[] = {"", "/src/audio", "/../lib/caracola"};
            for (size_t i = 0; rc == 0 && i < sizeof near / sizeof *near; i++)
                rc = load_from(d, folder, near[i], why, sizeof why);
        }
        if (rc == 0 && library_folder(folder, sizeof folder))
            rc = load_from(d, folder, "/caracola", why, sizeof why);
        if (rc == 0)
            rc = load_from(d, CARA_INSTALLED_MODULE_DIR, "", why, sizeof why);
    }
    if (rc > 0)
        return CARA_OK;
    if (rc < 0)
        return cara_fail(err, CARA_ERR_AUDIO_MODULE, -1,
                         "this is %s audio, and the module that reads it cannot be loaded: %s; "
                         "install the FFmpeg libraries that it was built with",
                         format, why);
    return cara_fail(err, CARA_ERR_AUDIO_MODULE, -1,
                     "this is %s audio, which needs the module %s; it is not in %.120s: install "
                     "libavformat-dev libavcodec-dev libavutil-dev libswresample-dev and build "
                     "with -Dlibav=enabled, or set CARACOLA_MODULE_DIR to its folder",
                     format, CARA_LIBAV_MODULE_FILE,
                     named && *named ? named : CARA_INSTALLED_MODULE_DIR);
}

/* As the module says why. Stopping is no fault of the file. */
static int fail(const libav_decoder *d, int code, const char *why, cara_error *err) {
    if (code == CARA_ERR_CANCELLED)
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "reading the audio was stopped");
    return cara_fail(err, (cara_code)code, -1, "this audio (%s) cannot be read: %s", d->base.format,
                     why);
}

static int start(libav_decoder *d, cara_error *err) {
    char why[256] = "";
    if (d->stream)
        d->module->close(d->stream);
    d->stream = NULL;
    const cara_libav_input input = {.bytes = d->file.bytes.ptr,
                                    .n = d->file.bytes.len,
                                    .demuxer = d->file.demuxer,
                                    .hidden = d->mp4.hidden,
                                    .n_hidden = d->mp4.n_hidden,
                                    .track = d->file.track,
                                    .max_memory = CARA_LIMIT_LIBAV_BYTES + 2 * d->file.bytes.len,
                                    .should_stop = d->file.stop.stop,
                                    .cookie = d->file.stop.cookie};
    int rc = d->module->open(&input, &d->stream, why, sizeof why);
    return rc ? fail(d, rc, why, err) : CARA_OK;
}

static int64_t libav_read(cara_audio_decoder *self, float *dst, size_t n, cara_error *err) {
    libav_decoder *d = (libav_decoder *)self;
    char why[256] = "";
    if (!d->stream) /* a rewind that failed */
        return cara_fail(err, CARA_ERR_AUDIO_CORRUPT, -1, "the %s file is not open",
                         d->base.format);
    int64_t got = d->module->read(d->stream, dst, n, why, sizeof why);
    if (got < 0)
        return fail(d, (int)got, why, err);
    if (got == 0)
        d->base.truncated = d->module->truncated(d->stream);
    return got;
}

static int libav_rewind(cara_audio_decoder *self, cara_error *err) {
    return start((libav_decoder *)self, err); /* seeking is not exact in every format */
}

static void libav_close(cara_audio_decoder *self) {
    libav_decoder *d = (libav_decoder *)self;
    if (d->stream)
        d->module->close(d->stream);
    if (d->handle)
        dlclose(d->handle);
    free(d);
}

int cara_libav_open(const cara_libav_file *file, cara_audio_decoder **out, cara_error *err) {
    *out = NULL;
    libav_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to open the %s audio", file->format);
    d->base = (cara_audio_decoder){.read = libav_read,
                                   .rewind = libav_rewind,
                                   .close = libav_close,
                                   .format = file->format,
                                   .rate = CARA_SAMPLE_RATE};
    d->file = *file;
    int rc = CARA_OK;
    if (strcmp(file->demuxer, "mov") == 0)
        rc = cara_mp4_check(file->bytes, file->stop, &d->mp4, err);
    if (!rc)
        rc = load(d, file->format, err);
    if (!rc)
        rc = start(d, err);
    if (rc) {
        libav_close(&d->base);
        return rc;
    }
    *out = &d->base;
    return CARA_OK;
}
