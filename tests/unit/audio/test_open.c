#include "audio_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void non_audio_formats_are_named(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n; /* 0: strlen */
        const char *says;
    } cases[] = {
        {"{\"a\": 1}", 0, "looks like JSON text"},
        {"\xEF\xBB\xBF [1, 2]", 0, "looks like JSON text"},
        {"<!DOCTYPE html><p>", 0, "HTML"},
        {"<?xml version=\"1.0\"?><a/>", 0, "XML text"},
        {"not audio", 0, "looks like plain text"},
        {"ma\xC3\xB1"
         "ana",
         0, "looks like plain text"},
        {"x", 0, "looks like plain text"},
        {" \n\t ", 0, "only blanks"},
        {"\x89PNG\r\n\x1a\n\0\0", 10, "is a PNG image"},
        {"\xff\xd8\xff\xe0JFIF", 8, "is a JPEG image"},
        {"GIF89a", 6, "is a GIF image"},
        {"RIFF\x10\0\0\0WEBPVP8 ", 16, "is a WebP image"},
        {"%PDF-1.7\n", 0, "is a PDF document"},
        {"PK\x03\x04zip", 0, "is a ZIP archive"},
        {"\x1f\x8b\x08\0", 4, "is a gzip file"},
        {"\x7f"
         "ELF\x02",
         0, "is a program"},
        {"MThd\0\0\0\x06", 8, "MIDI"},
        {"\x7f\xfe\x80\x01\xfc\x3c", 6, "is DTS sound, which is not decoded"},
        {"\x31\x40\x12\x34\xf8\x72\x6f\xba", 8, "is TrueHD sound, which is not decoded"},
        {"\x31\x40\x12\x34\xf8\x72\x6f\xbb", 8, "is MLP sound, which is not decoded"},
        {"ID3\x04\0\0\0\0\0\x02..%PDF-1.7\n", 21, "ID3 tag before something else"},
        {"RIFF", 4, "RIFF"},
        {"RIFF\x10\0\0\0WAVX", 12, "RIFF"},
        {"OggS", 4, "Ogg file"},
        {"OggS\0\2\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1\4fish", 32, "Ogg file"},
        {"ID3\x04\0\0\0\0\0\x0a", 10, "ID3 tag"},
        {"\0\0\0\0\0", 5, "only zero bytes"},
        {"\0\1\2\3\xfe", 5, "binary data"},
        {"\xff\xfb\x90\x64", 4, "binary data"},
        {"\x1f\x07\x00\xbf\xf8\x78", 6, "DV video"},
        {"\0\0\0\x1c"
         "ftypheic\0\0",
         14, "HEIF"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        size_t n = cases[k].n ? cases[k].n : strlen(cases[k].bytes);
        decoded d = decode(cases[k].bytes, n, NULL, 64);
        if (d.code != CARA_ERR_AUDIO_FORMAT || !strstr(d.err.text, cases[k].says))
            fail_msg("case %zu: code %d, \"%s\" does not say \"%s\"", k, d.code, d.err.text,
                     cases[k].says);
    }
}

/* Frames of MP3, AAC and AC-3 begin with few fixed bits. They must follow each other and agree. */
static void frames_that_do_not_agree_are_no_audio(void **state) {
    (void)state;
    static const struct {
        uint8_t headers[3][7];
        size_t sizes[3]; /* of frames */
        size_t before;   /* bytes before the first one */
        size_t n;        /* of the file; 0: up to the end of the last frame */
        const char *format;
    } cases[] = {
        {{{0xFF, 0xFB, 0x50, 0xC4}, {0xFF, 0xFB, 0x50, 0xC4}, {0xFF, 0xFB, 0x90, 0xC4}},
         {208, 208, 417},
         3,
         0,
         "mp3"}, /* another bit rate */
        {{{0xFF, 0xFB, 0x50, 0xC4}, {0xFF, 0xF3, 0x50, 0xC4}, {0xFF, 0xFB, 0x50, 0xC4}},
         {208, 130, 208},
         3,
         0,
         NULL}, /* another version */
        {{{0xFF, 0xFB, 0x50, 0xC4}, {0xFF, 0xFB, 0x54, 0xC4}, {0xFF, 0xFB, 0x50, 0xC4}},
         {208, 192, 208},
         3,
         0,
         NULL},                                            /* another rate */
        {{{0xFF, 0xFB, 0x50, 0xC4}}, {208}, 3, 100, NULL}, /* one, cut off */
        {{{0xFF, 0xFB, 0x50, 0xC4}}, {208}, 0, 100, "mp3"},
        {{{0xFF, 0xF1, 0x60, 0x40, 0x08, 0x1F, 0xFC}, {0xFF, 0xF1, 0x64, 0x40, 0x08, 0x1F, 0xFC}},
         {64, 64},
         0,
         0,
         NULL},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        uint8_t bytes[1024] = {1};
        size_t at = cases[k].before;
        for (size_t i = 0; i < 3; i++) {
            memcpy(bytes + at, cases[k].headers[i], 7);
            at += cases[k].sizes[i];
        }
        decoded d = decode(bytes, cases[k].n ? cases[k].n : at, NULL, 4096);
        /* One frame is recognised, and is too little to decode. */
        if (cases[k].format ? d.code == CARA_ERR_AUDIO_FORMAT ||
                                  (d.code && !strstr(d.err.text, cases[k].format)) ||
                                  (!d.code && strcmp(d.format, cases[k].format) != 0)
                            : d.code != CARA_ERR_AUDIO_FORMAT)
            fail_msg("case %zu: code %d (%s), format %s", k, d.code, d.err.text, d.format);
        free(d.got.pcm);
    }
}

static void empty_input_is_reported_as_empty(void **state) {
    (void)state;
    cara_audio *audio;
    cara_error err;
    assert_int_equal(cara_audio_open_memory(NULL, 0, NULL, &audio, &err), CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(err.text, "is empty"));
    assert_null(audio);
    assert_int_equal(cara_audio_open_memory("", 0, NULL, &audio, NULL), CARA_ERR_AUDIO_FORMAT);
}

static void a_missing_module_is_named_with_what_to_install(void **state) {
    (void)state;
    static const char *const files[][2] = {
        {"speech.mp3", "mp3"},        {"bare.mp3", "mp3"},     {"speech.m4a", "m4a"},
        {"speech.aac", "aac"},        {"speech.amr", "amr"},   {"speech.flac", "flac"},
        {"vorbis.ogg", "ogg/vorbis"}, {"speech.webm", "webm"}, {"video.mp4", "mp4"},
        {"adpcm.wav", "compressed"},
    };
    char saved[1024];
    snprintf(saved, sizeof saved, "%s", getenv("CARACOLA_MODULE_DIR"));
    setenv("CARACOLA_MODULE_DIR", "/nowhere/at/all", 1);
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char name[128];
        snprintf(name, sizeof name, "audio/%s", files[k][0]);
        blob b = fixture(name);
        decoded d = decode(b.data, b.n, NULL, 64);
        assert_int_equal(d.code, CARA_ERR_AUDIO_MODULE);
        if (!strstr(d.err.text, files[k][1]) || !strstr(d.err.text, "/nowhere/at/all") ||
            !strstr(d.err.text, "libavformat-dev"))
            fail_msg("%s: \"%s\"", files[k][0], d.err.text);
        free(b.data);
    }
    setenv("CARACOLA_MODULE_DIR", saved, 1);
}

static void a_broken_module_is_refused(void **state) {
    (void)state;
    char dir[] = "/tmp/caracola-module-XXXXXX", path[128], saved[1024];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/caracola-libav.so", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("no library", f);
    fclose(f);
    snprintf(saved, sizeof saved, "%s", getenv("CARACOLA_MODULE_DIR"));
    setenv("CARACOLA_MODULE_DIR", dir, 1);
    blob b = fixture("audio/speech.flac");
    decoded d = decode(b.data, b.n, NULL, 64);
    assert_int_equal(d.code, CARA_ERR_AUDIO_MODULE);
    assert_non_null(strstr(d.err.text, "cannot be loaded"));
    free(b.data);
    setenv("CARACOLA_MODULE_DIR", saved, 1);
    unlink(path);
    rmdir(dir);
}

static void limits_are_kept_and_named(void **state) {
    (void)state;
    blob b = fixture("audio/speech.ogg");
    cara_audio_options bytes = {.struct_size = sizeof bytes, .max_bytes = 1000},
                       seconds = {.struct_size = sizeof seconds, .max_seconds = 0.5};
    decoded d = decode(b.data, b.n, &bytes, 64);
    assert_int_equal(d.code, CARA_ERR_AUDIO_LIMIT);
    assert_int_equal(d.opened, 0);
    assert_non_null(strstr(d.err.text, "1000"));
    assert_non_null(strstr(d.err.text, "max_bytes"));
    d = decode(b.data, b.n, &seconds, 100);
    assert_int_equal(d.code, CARA_ERR_AUDIO_LIMIT);
    assert_int_equal(d.opened, 1);
    assert_int_equal(d.got.n, 8000);
    assert_non_null(strstr(d.err.text, "0.5 seconds"));
    assert_non_null(strstr(d.err.text, "max_seconds"));
    free(d.got.pcm);
    cara_audio_options enough = {
        .struct_size = sizeof enough, .max_bytes = b.n, .max_seconds = 29227.0 / 16000};
    d = decode(b.data, b.n, &enough, 100);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.got.n, 29227);
    free(d.got.pcm);
    free(b.data);
}

static void files_open_by_path(void **state) {
    (void)state;
    char path[1024];
    cara_audio *audio;
    cara_error err;
    assert_int_equal(cara_audio_open_file("/nowhere/a.ogg", NULL, &audio, &err),
                     CARA_ERR_NOT_FOUND);
    assert_null(audio);
    assert_int_equal(cara_audio_open_file("/tmp", NULL, &audio, &err), CARA_ERR_IO);
    snprintf(path, sizeof path, "%s/tests/data/audio/README.md", getenv("CARACOLA_SOURCE_DIR"));
    assert_int_equal(cara_audio_open_file(path, NULL, &audio, &err), CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(err.text, "README.md"));
    snprintf(path, sizeof path, "%s/tests/data/audio/speech.ogg", getenv("CARACOLA_SOURCE_DIR"));
    assert_int_equal(cara_audio_open_file(path, NULL, &audio, &err), CARA_OK);
    samples s = drain(cara_audio_source(audio), 1000, &err);
    assert_int_equal(s.n, 29227);
    free(s.pcm);
    cara_audio_close(audio);
    cara_audio_close(NULL);
}

/* Writes the bytes, little by little, into what opens at `path` (or into fd), in another process.
 */
static pid_t write_slowly(const char *path, int fd, blob b) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child)
        return child;
    if (path)
        fd = open(path, O_WRONLY);
    for (size_t at = 0; at < b.n;) {
        size_t n = b.n - at < 700 ? b.n - at : 700;
        if (write(fd, b.data + at, n) != (ssize_t)n)
            _exit(1);
        at += n;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    _exit(0);
}

static void pipes_are_read_as_files_are(void **state) {
    (void)state;
    blob b = fixture("audio/speech.ogg");
    char dir[] = "/tmp/caracola-pipe-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/note", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    int ends[2], whole = -1;
    assert_int_equal(pipe(ends), 0);
    char here[64];
    snprintf(here, sizeof here, "/dev/fd/%d", ends[0]); /* as <(...) of a shell */
    for (int how = 0; how < 4; how++) {
        cara_audio *audio = NULL;
        cara_error err = {0};
        int rc, ok = 1;
        pid_t child = how == 0   ? write_slowly(path, -1, b)
                      : how == 3 ? -1
                                 : write_slowly(NULL, ends[1], b);
        if (how == 2)
            close(ends[1]); /* the child has the last one */
        if (how == 0)
            rc = cara_audio_open_file(path, NULL, &audio, &err);
        else if (how == 1) { /* a limit that ends before the pipe does */
            cara_audio_options limits = {.struct_size = sizeof limits, .max_bytes = 1000};
            rc = cara_audio_open_file(here, &limits, &audio, &err);
            assert_int_equal(rc, CARA_ERR_AUDIO_LIMIT);
            assert_null(audio);
            char rest[4096];
            int status;
            fcntl(ends[0], F_SETFL, O_NONBLOCK);
            while (waitpid(child, &status, WNOHANG) == 0)
                while (read(ends[0], rest, sizeof rest) > 0)
                    ;
            while (read(ends[0], rest, sizeof rest) > 0)
                ;
            continue;
        } else if (how == 2)
            rc = cara_audio_open_file(here, NULL, &audio, &err);
        else { /* a descriptor is read from where it stands */
            char file[] = "/tmp/caracola-fd-XXXXXX";
            whole = mkstemp(file);
            unlink(file);
            assert_int_equal(write(whole, "x", 1), 1);
            assert_int_equal(write(whole, b.data, b.n), b.n);
            assert_int_equal(lseek(whole, 1, SEEK_SET), 1);
            rc = cara_audio_open_fd(whole, "a file", NULL, &audio, &err);
            ok = fcntl(whole, F_GETFD) >= 0; /* still the caller's */
            close(whole);
        }
        if (rc)
            fail_msg("%d: %d %s", how, rc, err.text);
        assert_true(ok);
        samples s = drain(cara_audio_source(audio), 1000, &err);
        assert_int_equal(s.n, 29227);
        free(s.pcm);
        cara_audio_close(audio);
        if (child > 0)
            assert_int_equal(waitpid(child, NULL, 0), child);
    }
    close(ends[0]);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
    free(b.data);
}

/* A device without an end costs a look at its first bytes, and a pipe without a writer no more time
 * than the caller wants to wait. */
static int count_to_two(void *cookie) {
    return ++*(int *)cookie > 2;
}

static void endless_streams_end(void **state) {
    (void)state;
    char dir[] = "/tmp/caracola-pipe-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/note", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    cara_audio *audio;
    cara_error err;
    assert_int_equal(cara_audio_open_file("/dev/zero", NULL, &audio, &err), CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(err.text, "/dev/zero: the input holds only zero bytes"));
    assert_int_equal(cara_audio_open_file("/dev/null", NULL, &audio, &err), CARA_ERR_AUDIO_FORMAT);
    assert_non_null(strstr(err.text, "is empty"));
    int asked = 0;
    cara_audio_options limits = {
        .struct_size = sizeof limits, .stop = count_to_two, .stop_cookie = &asked};
    assert_int_equal(cara_audio_open_file(path, &limits, &audio, &err), CARA_ERR_CANCELLED);
    assert_int_equal(asked, 3);
    assert_null(audio);
    assert_int_equal(cara_audio_open_file(dir, NULL, &audio, &err), CARA_ERR_IO);
    assert_non_null(strstr(err.text, "is a folder"));
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

static void block_size_does_not_matter(void **state) {
    (void)state;
    static const char *const files[] = {"audio/speech.ogg", "audio/chained.ogg", "audio/adpcm.wav"};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        blob b = fixture(files[k]);
        samples whole = {0};
        static const size_t blocks[] = {1 << 20, 1, 7, 160, 4096};
        for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
            decoded d = decode(b.data, b.n, NULL, blocks[i]);
            if (d.code == CARA_ERR_AUDIO_MODULE)
                break; /* built without libav */
            assert_int_equal(d.code, CARA_OK);
            if (!i) {
                whole = d.got;
                continue;
            }
            assert_int_equal(d.got.n, whole.n);
            assert_memory_equal(d.got.pcm, whole.pcm, whole.n * sizeof(float));
            free(d.got.pcm);
        }
        free(whole.pcm);
        free(b.data);
    }
}

static void pcm_memory_source(void **state) {
    (void)state;
    static const float pcm[] = {0.1F, 0.2F, 0.3F};
    cara_pcm_memory cursor = {.pcm = pcm, .n = 3};
    cara_pcm_source source = cara_pcm_memory_source(&cursor);
    float got[3];
    assert_int_equal(source.read(source.ctx, got, 2, NULL), 2);
    assert_int_equal(source.read(source.ctx, got, 2, NULL), 1);
    assert_int_equal(source.read(source.ctx, got, 2, NULL), 0);
    assert_int_equal(source.rewind(source.ctx, NULL), CARA_OK);
    assert_int_equal(source.read(source.ctx, got, 3, NULL), 3);
    assert_memory_equal(got, pcm, sizeof pcm);
    cara_pcm_memory none = {0};
    source = cara_pcm_memory_source(&none);
    assert_int_equal(source.read(source.ctx, got, 3, NULL), 0);
}

/* Half an hour at 44.1 kHz, from a sparse file: what is decoded is never held. */
static void memory_does_not_grow_with_length(void **state) {
    (void)state;
    static const uint8_t header[] = "RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0"
                                    "\x44\xac\0\0\x44\xac\0\0\x01\0\x08\0"
                                    "data\xff\xff\xff\xff";
    const size_t frames = (size_t)1800 * 44100;
    char path[] = "/tmp/caracola-long-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, header, 44), 44);
    assert_int_equal(ftruncate(fd, (off_t)(44 + frames)), 0);
    close(fd);
    cara_audio *audio;
    cara_error err;
    assert_int_equal(cara_audio_open_file(path, NULL, &audio, &err), CARA_OK);
    unlink(path);
    cara_pcm_source source = cara_audio_source(audio);
    static float block[16000];
    int64_t total = 0, got, heap = 0;
    while ((got = source.read(source.ctx, block, 16000, &err)) > 0) {
        total += got;
        /* Anonymous pages, not the mapped file. Held as samples, this would be 107 MB; a
         * sanitizer's shadow of the file is 10. */
        if (total == 16000 * 60 || total == 16000 * 1740) {
            FILE *f = fopen("/proc/self/status", "r");
            char line[256];
            assert_non_null(f);
            while (fgets(line, sizeof line, f))
                if (!strncmp(line, "RssAnon:", 8)) {
                    int64_t now = strtoll(line + 8, NULL, 10);
                    if (heap)
                        assert_true(now - heap < 16 * 1024);
                    heap = now;
                }
            fclose(f);
        }
    }
    assert_int_equal(got, 0);
    assert_int_equal(total, 1800 * 16000);
    assert_true(heap > 0);
    cara_audio_close(audio);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(non_audio_formats_are_named),
        cmocka_unit_test(frames_that_do_not_agree_are_no_audio),
        cmocka_unit_test(empty_input_is_reported_as_empty),
        cmocka_unit_test(a_missing_module_is_named_with_what_to_install),
        cmocka_unit_test(a_broken_module_is_refused),
        cmocka_unit_test(limits_are_kept_and_named),
        cmocka_unit_test(files_open_by_path),
        cmocka_unit_test(pipes_are_read_as_files_are),
        cmocka_unit_test(endless_streams_end),
        cmocka_unit_test(block_size_does_not_matter),
        cmocka_unit_test(pcm_memory_source),
        cmocka_unit_test(memory_does_not_grow_with_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
