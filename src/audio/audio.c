/* The public functions: pick the decoder, convert to 16 kHz, keep the limits. */
#include "audio/audio_decoder.h"
#include "audio/headerless.h"
#include "audio/sniff.h"
#include "base/files/file.h"
#include "base/files/stream.h"
#include "base/limits.h"
#include "base/sized.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KNOWN "Ogg/Opus, WAV, MP3, M4A/AAC, AMR, FLAC, Ogg/Vorbis, WebM or common video"

/* After so many samples the mapped file's pages are released: hours of audio would count as memory
 * of this process. */
#define RELEASE ((int64_t)1 << 20)

/* What a stream begins with is looked at before the rest is read: /dev/zero has no end. */
#define HEAD CARA_MIB

struct cara_audio {
    cara_audio_decoder *decoder; /* at CARA_SAMPLE_RATE */
    cara_mapping mapping;        /* of a file; empty for others */
    char *bytes;                 /* of a stream; NULL for others */
    double max_seconds;
    int64_t max_samples, given;
    cara_stop stop;
    int failed; /* a code that came after samples which had to be given first */
    cara_error failure;
};

static int no_audio(cara_sniffed what, cara_error *err) {
    return cara_fail(err, CARA_ERR_AUDIO_FORMAT, -1, "the input %s; audio was expected (%s)%s",
                     what.looks, KNOWN,
                     what.unknown ? "; sound without a header needs a name such as voice.ulaw, or "
                                    "input_format"
                                  : "");
}

/* What the bytes are; *named is set where only the name says it. */
static cara_sniffed recognise(cara_slice bytes, const char *name, const cara_headerless **named) {
    cara_sniffed what = cara_sniff(bytes);
    *named = bytes.len && !what.certain ? cara_headerless_find(name) : NULL;
    return what;
}

static int no_such_track(const char *format, int track, cara_error *err) {
    return cara_fail(err, CARA_ERR_AUDIO_FORMAT, -1,
                     "this %s file has no sound track %d: it has 1, counted from 0", format, track);
}

static int open_headerless(const cara_headerless *h, cara_libav_file *file,
                           cara_audio_decoder **out, cara_error *err) {
    file->format = h->name;
    file->demuxer = h->demuxer;
    if (h->demuxer)
        return cara_libav_open(file, out, err);
    if (file->track > 0)
        return no_such_track(h->name, file->track, err);
    return cara_pcm_open(file->bytes, h->name, h->codec, h->rate, out, err);
}

static int open_decoder(cara_slice bytes, const cara_audio_options *options,
                        cara_audio_decoder **out, cara_error *err) {
    const cara_headerless *named;
    cara_sniffed what = recognise(bytes, options->input_format, &named);
    if (what.skip)
        bytes = cara_slice_of(bytes.ptr + what.skip, bytes.len - what.skip);
    cara_libav_file file = {.bytes = bytes,
                            .format = what.format,
                            .demuxer = what.demuxer,
                            .track = options->track - 1,
                            .stop = {options->stop, options->stop_cookie}};
    if (named)
        return open_headerless(named, &file, out, err);
    switch (what.kind) {
    case CARA_SNIFF_OGG_OPUS: {
        /* Of several codecs libav chooses. */
        int rc = what.mixed && file.track < 0
                     ? CARA_OGG_OTHER_CODEC
                     : cara_ogg_open(bytes, file.track, file.stop, out, err);
        if (rc != CARA_OGG_OTHER_CODEC)
            return rc;
        file.format = "ogg";
        file.demuxer = "ogg";
        return cara_libav_open(&file, out, err);
    }
    case CARA_SNIFF_WAV: {
        if (file.track > 0)
            return no_such_track(what.format, file.track, err);
        int rc = cara_wav_open(bytes, out, err);
        if (rc != CARA_WAV_OTHER_CODEC)
            return rc;
        file.format = "wav with a compressed codec";
        file.demuxer = "wav";
        return cara_libav_open(&file, out, err);
    }
    case CARA_SNIFF_LIBAV:
        return cara_libav_open(&file, out, err);
    case CARA_SNIFF_NONE:
        break;
    }
    return no_audio(what, err);
}

int cara_audio_is_input_format(const char *name) {
    return cara_headerless_find(name) != NULL;
}

void cara_audio_options_default(cara_audio_options *options, size_t size) {
    const cara_audio_options defaults = {.struct_size = sizeof defaults};
    cara_sized_default(options, size, &defaults, sizeof defaults);
}

/* The caller's options, with the defaults in place of zeros. */
static int read_options(const cara_audio_options *options, cara_audio_options *own,
                        cara_error *err) {
    cara_audio_options_default(own, sizeof *own);
    int rc = cara_sized_read(own, sizeof *own, options, "cara_audio_options", err);
    if (!own->max_bytes)
        own->max_bytes = CARA_LIMIT_AUDIO_BYTES;
    if (!(own->max_seconds > 0))
        own->max_seconds = CARA_LIMIT_AUDIO_SECONDS;
    return rc;
}

int cara_audio_open_memory(const void *bytes, size_t n, const cara_audio_options *options,
                           cara_audio **out, cara_error *err) {
    if (!out)
        return cara_fail_null(err, __func__, "out");
    *out = NULL;
    if (!bytes && n)
        return cara_fail_null(err, __func__, "bytes");
    cara_audio_options own;
    int rc = read_options(options, &own, err);
    if (rc)
        return rc;
    if (n > own.max_bytes)
        return cara_fail(err, CARA_ERR_AUDIO_LIMIT, -1,
                         "the audio has %zu bytes, more than the limit of %zu; raise max_bytes", n,
                         own.max_bytes);
    cara_audio *audio = calloc(1, sizeof *audio);
    if (!audio)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to open the audio");
    rc = open_decoder(cara_slice_of(bytes, bytes ? n : 0), &own, &audio->decoder, err);
    if (rc)
        goto fail;
    if (audio->decoder->rate != CARA_SAMPLE_RATE) {
        cara_audio_decoder *wrapped;
        rc = cara_resample_wrap(audio->decoder, &wrapped, err);
        if (rc)
            goto fail;
        audio->decoder = wrapped;
    }
    audio->stop = (cara_stop){own.stop, own.stop_cookie};
    audio->max_seconds = own.max_seconds;
    audio->max_samples =
        own.max_seconds < 1e12 ? (int64_t)floor(own.max_seconds * CARA_SAMPLE_RATE) : INT64_MAX;
    *out = audio;
    return CARA_OK;
fail:
    cara_audio_close(audio);
    return rc;
}

/* An ID3 tag can be larger than the head, and the sound comes behind it. */
static int may_be_audio(const cara_buf *head, const char *name, cara_error *err) {
    const cara_headerless *named;
    cara_sniffed what = recognise(cara_slice_of(head->data, head->len), name, &named);
    if (named || what.kind != CARA_SNIFF_NONE || memcmp(head->data, "ID3", 3) == 0)
        return CARA_OK;
    return no_audio(what, err);
}

static int read_stream(int fd, const char *name, const cara_audio_options *options, cara_buf *all,
                       cara_error *err) {
    const cara_stop stop = {options->stop, options->stop_cookie};
    size_t most = options->max_bytes < SIZE_MAX ? options->max_bytes + 1 : SIZE_MAX;
    int ended;
    cara_buf_init(all, most);
    int rc = cara_stream_read(fd, name, most < HEAD ? most : HEAD, &stop, all, &ended, err);
    if (!rc && !ended)
        rc = may_be_audio(all, options->input_format, err);
    if (!rc && !ended)
        rc = cara_stream_read(fd, name, most, &stop, all, &ended, err);
    if (!rc && all->len > options->max_bytes)
        rc = cara_fail(err, CARA_ERR_AUDIO_LIMIT, -1,
                       "the audio has more than the limit of %zu bytes; raise max_bytes",
                       options->max_bytes);
    return rc;
}

int cara_audio_open_fd(int fd, const char *name, const cara_audio_options *options,
                       cara_audio **out, cara_error *err) {
    if (!out)
        return cara_fail_null(err, __func__, "out");
    *out = NULL;
    if (!name)
        return cara_fail_null(err, __func__, "name");
    cara_audio_options own;
    int rc = read_options(options, &own, err);
    if (rc)
        return rc;
    cara_buf all;
    rc = read_stream(fd, name, &own, &all, err);
    if (!rc)
        rc = cara_audio_open_memory(all.data, all.len, &own, out, err);
    if (rc) {
        cara_buf_free(&all);
        if (rc != CARA_ERR_IO && rc != CARA_ERR_CANCELLED && rc != CARA_ERR_MEMORY)
            cara_error_prefix(err, "%s", name); /* the texts of those three have the name */
        return rc;
    }
    (*out)->bytes = all.data;
    return CARA_OK;
}

static int is_stream(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

int cara_audio_open_file(const char *path, const cara_audio_options *options, cara_audio **out,
                         cara_error *err) {
    if (!out)
        return cara_fail_null(err, __func__, "out");
    *out = NULL;
    if (!path)
        return cara_fail_null(err, __func__, "path");
    cara_audio_options own;
    int rc = read_options(options, &own, err);
    if (rc)
        return rc;
    const char *dot = strrchr(path, '.');
    if (!own.input_format && dot)
        own.input_format = dot + 1;
    if (is_stream(path)) {
        int fd;
        rc = cara_stream_open(path, &fd, err);
        if (rc)
            return rc;
        rc = cara_audio_open_fd(fd, path, &own, out, err);
        close(fd);
        return rc;
    }
    cara_mapping mapping;
    rc = cara_map_file(path, &mapping, err);
    if (rc)
        return rc;
    rc = cara_audio_open_memory(mapping.data, mapping.size, &own, out, err);
    if (rc) {
        cara_unmap(&mapping);
        cara_error_prefix(err, "%s", path);
        return rc;
    }
    (*out)->mapping = mapping;
    return CARA_OK;
}

/* On the 16-bit grid, as openai/whisper's load_audio() has it: noise below half a step is silence
 * there, and the mel spectrogram would otherwise raise it to the top of its range. */
static float on_grid(float x) {
    if (!isfinite(x))
        return 0;
    float steps = rintf(x * 32768.0F);
    return (steps > 32767 ? 32767 : steps < -32768 ? -32768 : steps) * (1.0F / 32768);
}

static int64_t audio_read(void *ctx, float *dst, size_t n, cara_error *err) {
    cara_audio *audio = ctx;
    if (!audio)
        return cara_fail_null(err, "cara_audio_source", "audio");
    size_t filled = 0;
    if (audio->stop.stop && audio->stop.stop(audio->stop.cookie))
        return cara_fail(err, CARA_ERR_CANCELLED, -1, "reading the audio was stopped");
    while (filled < n && !audio->failed) {
        int64_t got =
            audio->decoder->read(audio->decoder, dst + filled, n - filled, &audio->failure);
        if (got < 0) {
            audio->failed = (int)got;
            break;
        }
        if (got == 0)
            break;
        if (got > audio->max_samples - audio->given) {
            audio->failed =
                cara_fail(&audio->failure, CARA_ERR_AUDIO_LIMIT, -1,
                          "the audio is longer than the limit of %g seconds; raise max_seconds",
                          audio->max_seconds);
            got = audio->max_samples - audio->given;
        }
        if ((audio->given + got) / RELEASE != audio->given / RELEASE)
            cara_mapping_release(&audio->mapping);
        audio->given += got;
        for (size_t i = 0; i < (size_t)got; i++)
            dst[filled + i] = on_grid(dst[filled + i]);
        filled += (size_t)got;
    }
    if (filled == 0 && audio->failed) {
        if (err)
            *err = audio->failure;
        return audio->failed;
    }
    return (int64_t)filled;
}

static int audio_rewind(void *ctx, cara_error *err) {
    cara_audio *audio = ctx;
    if (!audio)
        return cara_fail_null(err, "cara_audio_source", "audio");
    audio->given = 0;
    audio->failed = 0;
    return audio->decoder->rewind(audio->decoder, err);
}

static cara_gaps audio_gaps(void *ctx) {
    return cara_audio_gaps(ctx);
}

cara_pcm_source cara_audio_source(cara_audio *audio) {
    return (cara_pcm_source){
        .read = audio_read, .rewind = audio_rewind, .gaps = audio_gaps, .ctx = audio};
}

const char *cara_audio_format(const cara_audio *audio) {
    return audio ? audio->decoder->format : "";
}

cara_gaps cara_audio_gaps(const cara_audio *audio) {
    return audio ? audio->decoder->gaps : (cara_gaps){0};
}

int cara_audio_truncated(const cara_audio *audio) {
    return audio && audio->decoder->truncated;
}

void cara_audio_close(cara_audio *audio) {
    if (!audio)
        return;
    if (audio->decoder)
        audio->decoder->close(audio->decoder);
    cara_unmap(&audio->mapping);
    free(audio->bytes);
    free(audio);
}

static int64_t memory_read(void *ctx, float *dst, size_t n, cara_error *err) {
    cara_pcm_memory *m = ctx;
    if (!m)
        return cara_fail_null(err, "cara_pcm_memory_source", "cursor");
    if (!m->pcm && m->n)
        return cara_fail(err, CARA_ERR_USAGE, -1, "pcm of cara_pcm_memory is NULL, and n is %zu",
                         m->n);
    size_t take = m->at < m->n ? m->n - m->at : 0;
    if (take > n)
        take = n;
    if (take)
        memcpy(dst, m->pcm + m->at, take * sizeof(float));
    m->at += take;
    return (int64_t)take;
}

static int memory_rewind(void *ctx, cara_error *err) {
    if (!ctx)
        return cara_fail_null(err, "cara_pcm_memory_source", "cursor");
    ((cara_pcm_memory *)ctx)->at = 0;
    return CARA_OK;
}

cara_pcm_source cara_pcm_memory_source(cara_pcm_memory *cursor) {
    return (cara_pcm_source){.read = memory_read, .rewind = memory_rewind, .ctx = cursor};
}
