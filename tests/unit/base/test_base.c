#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/files/file.h"
#include "base/files/stream.h"
#include "base/memory/arena.h"
#include "base/memory/buf.h"
#include "base/sized.h"
#include "base/threads.h"
#include "base/utf8.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void arena_respects_its_limit_and_alignment(void **state) {
    (void)state;
    cara_arena arena;
    cara_arena_init(&arena, 1 << 20);
    char *a = cara_arena_alloc(&arena, 3, 5);
    char *b = cara_arena_alloc(&arena, 1, 1);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal((uintptr_t)b % 64, 0);
    assert_true(b >= a + 15);
    assert_int_equal(a[14], 0);
    assert_null(cara_arena_alloc(&arena, SIZE_MAX / 2, 3));
    assert_null(cara_arena_alloc(&arena, 1 << 20, 1));
    assert_string_equal(cara_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    char *big = cara_arena_alloc(&arena, 1, 900 * 1024);
    assert_non_null(big);
    memset(big, 1, 900 * 1024);
    cara_arena_free(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(cara_arena_alloc(&arena, 1, 1));
    cara_arena_free(&arena);
}

static void buf_stops_at_its_limit_and_keeps_what_it_has(void **state) {
    (void)state;
    cara_buf buf;
    cara_buf_init(&buf, 10);
    assert_int_equal(cara_buf_str(&buf, "12345"), 0);
    assert_int_equal(cara_buf_printf(&buf, "%s", "67890"), 0);
    assert_int_equal(cara_buf_char(&buf, 'x'), -1);
    assert_int_equal(buf.failed, 1);
    assert_string_equal(buf.data, "1234567890");
    cara_buf_clear(&buf);
    assert_int_equal(cara_buf_str(&buf, "ok"), 0);
    cara_buf_free(&buf);
}

static void utf8_strips_as_python_does(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {" \t\n\v\f\r\x1c\x1f ", ""},
        {" a b ", "a b"},
        {"\xC2\xA0\xE3\x80\x80ni\xC3\xB1o\xE2\x80\xA8", "ni\xC3\xB1o"},
        {"\xE2\x80\x8B", "\xE2\x80\x8B"}, /* the zero width space is none to Python */
        {" \xC3 ", "\xC3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(
            cara_slice_eq_str(cara_utf8_strip(cases[i].in, strlen(cases[i].in)), cases[i].out));
}

static void utf8_follows_python_replace(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"ni\xC3\xB1o", "ni\xC3\xB1o"},
        {"\xC3", "\xEF\xBF\xBD"},
        {"a\xE2\x82z", "a\xEF\xBF\xBDz"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF0\x9F\x90", "\xEF\xBF\xBD"},
        {"\xF0\x9F\x90\x9A", "\xF0\x9F\x90\x9A"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        size_t n = cara_utf8_replace(cases[i].in, strlen(cases[i].in), out);
        assert_string_equal(out, cases[i].out);
        assert_int_equal(n, strlen(out));
        assert_true(cara_utf8_valid(out, n));
        assert_int_equal(cara_utf8_valid(cases[i].in, strlen(cases[i].in)),
                         !strcmp(cases[i].in, cases[i].out));
    }
}

/* `c` as UTF-8; how many bytes. */
static int utf8_of(uint32_t c, uint8_t out[4]) {
    const int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
    out[0] = (uint8_t)(n == 1 ? c : (0xF0u << (4 - n) & 0xFF) | c);
    return n;
}

static void utf8_decodes_every_code_point(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        uint8_t s[4];
        int n = utf8_of(c, s);
        uint32_t back;
        size_t skip;
        assert_int_equal(cara_utf8_decode(s, (size_t)n, &back, &skip), n);
        assert_int_equal(back, c);
    }
}

static void errors_are_one_line_and_prefixed(void **state) {
    (void)state;
    cara_error err = {0};
    assert_int_equal(cara_fail(&err, CARA_ERR_EVENT, 12, "bad\nthing %d", 3), CARA_ERR_EVENT);
    assert_string_equal(err.text, "bad thing 3");
    assert_int_equal(err.position, 12);
    cara_error_prefix(&err, "file %s", "x");
    assert_string_equal(err.text, "file x: bad thing 3");
    assert_int_equal(cara_fail(NULL, CARA_ERR_IO, -1, "dropped"), CARA_ERR_IO);
    assert_string_equal(cara_code_name(CARA_ERR_MODEL_SHAPE), "model_shape");
}

static void files_are_written_whole_or_not_at_all(void **state) {
    (void)state;
    char dir[] = "/tmp/caracola-base-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.json", dir);
    cara_error err;
    assert_int_equal(cara_write_file_atomic(path, "one", 3, 0600, 1, &err), CARA_OK);
    assert_int_equal(cara_write_file_atomic(path, "two!", 4, 0600, 1, &err), CARA_OK);
    char *data;
    size_t n;
    assert_int_equal(cara_read_file(path, 100, &data, &n, &err), CARA_OK);
    assert_string_equal(data, "two!");
    free(data);
    assert_int_equal(cara_read_file(path, 3, &data, &n, &err), CARA_ERR_LIMIT);
    cara_mapping map;
    assert_int_equal(cara_map_file(path, &map, &err), CARA_OK);
    assert_int_equal(map.size, 4);
    cara_unmap(&map);
    assert_int_equal(cara_map_file(dir, &map, &err), CARA_ERR_IO);
    assert_int_equal(cara_map_file("/nowhere/x", &map, &err), CARA_ERR_NOT_FOUND);
    assert_int_equal(cara_write_file_atomic("/nowhere/x", "", 0, 0600, 1, &err),
                     CARA_ERR_NOT_FOUND);
    unlink(path);
    assert_int_equal(rmdir(dir), 0); /* fails where a temporary was left behind */
}

static int count_to_two(void *cookie) {
    return ++*(int *)cookie > 2;
}

/* A pipe is read up to a limit, and waited for as long as the caller wants. */
static void streams_are_read_within_limits(void **state) {
    (void)state;
    int ends[2], ended, asked = 0;
    char *data;
    size_t n;
    cara_error err;
    const cara_stop stop = {count_to_two, &asked};
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "four", 4), 4);
    cara_buf buf;
    cara_buf_init(&buf, 100);
    assert_int_equal(cara_stream_read(ends[0], "p", 3, NULL, &buf, &ended, &err), CARA_OK);
    assert_string_equal(buf.data, "fou");
    assert_int_equal(ended, 0);
    assert_int_equal(cara_stream_read(ends[0], "p", 5, &stop, &buf, &ended, &err),
                     CARA_ERR_CANCELLED);
    assert_string_equal(buf.data, "four"); /* what came stays */
    assert_string_equal(err.text, "interrupted while reading p");
    cara_buf_free(&buf);
    assert_int_equal(write(ends[1], "four", 4), 4);
    assert_int_equal(cara_read_fd(ends[0], "p", 3, &data, &n, &err), CARA_ERR_LIMIT);
    assert_int_equal(err.position, 3);
    assert_int_equal(write(ends[1], "four", 4), 4);
    close(ends[1]);
    assert_int_equal(cara_read_fd(ends[0], "p", 4, &data, &n, &err), CARA_OK);
    assert_int_equal(n, 4);
    assert_string_equal(data, "four");
    free(data);
    assert_int_equal(cara_read_fd(ends[0], "p", 4, &data, &n, &err), CARA_OK);
    assert_int_equal(n, 0);
    assert_string_equal(data, "");
    free(data);
    close(ends[0]);
    assert_int_equal(cara_read_input("/tmp", 4, NULL, &data, &n, &err), CARA_ERR_IO);
    assert_string_equal(err.text, "/tmp is a folder");
    assert_null(data);
}

static void files_are_written_piece_by_piece(void **state) {
    (void)state;
    char dir[] = "/tmp/caracola-base-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.bin", dir);
    cara_error err;
    cara_atomic_file file;
    assert_int_equal(cara_atomic_begin(&file, path, 0644, &err), CARA_OK);
    assert_int_equal(cara_atomic_put(&file, 3, "def", 3, &err), CARA_OK);
    assert_int_equal(cara_atomic_put(&file, 0, "abc", 3, &err), CARA_OK);
    assert_int_not_equal(access(path, F_OK), 0); /* not before it is whole */
    assert_int_equal(cara_atomic_commit(&file, 0, &err), CARA_OK);
    cara_atomic_abort(&file); /* harmless now */
    char *data;
    size_t n;
    assert_int_equal(cara_read_file(path, 100, &data, &n, &err), CARA_OK);
    assert_string_equal(data, "abcdef");
    free(data);
    /* A file that is there stays, unless it may be replaced. */
    for (int replace = 0; replace <= 1; replace++) {
        assert_int_equal(cara_atomic_begin(&file, path, 0644, &err), CARA_OK);
        assert_int_equal(cara_atomic_put(&file, 0, "new", 3, &err), CARA_OK);
        assert_int_equal(cara_atomic_commit(&file, replace, &err),
                         replace ? CARA_OK : CARA_ERR_CONFLICT);
        assert_int_equal(cara_read_file(path, 100, &data, &n, &err), CARA_OK);
        assert_string_equal(data, replace ? "new" : "abcdef");
        free(data);
    }
    assert_int_equal(cara_atomic_begin(&file, path, 0644, &err), CARA_OK);
    cara_atomic_abort(&file);
    assert_int_equal(cara_atomic_begin(&file, "/nowhere/x", 0644, &err), CARA_ERR_NOT_FOUND);
    unlink(path);
    assert_int_equal(rmdir(dir), 0); /* fails where a temporary was left behind */
}

typedef struct tally {
    atomic_int count[1000];
    atomic_int bad_thread;
    int threads;
} tally;

static void tick(void *ctx, size_t task, int thread) {
    tally *t = ctx;
    atomic_fetch_add(&t->count[task], 1);
    if (thread < 0 || thread >= t->threads)
        atomic_store(&t->bad_thread, 1);
}

static void pool_runs_every_task_once(void **state) {
    (void)state;
    static tally t;
    for (int threads = 1; threads <= 5; threads += 2) {
        cara_pool *pool = cara_pool_new(threads);
        assert_non_null(pool);
        t.threads = threads;
        for (int job = 0; job < 300; job++) {
            size_t tasks = (size_t)(job % 7 == 0 ? 1000 : job % 5);
            memset(t.count, 0, sizeof t.count);
            cara_pool_run(pool, tick, &t, tasks);
            for (size_t i = 0; i < 1000; i++)
                assert_int_equal(atomic_load(&t.count[i]), i < tasks);
        }
        assert_int_equal(atomic_load(&t.bad_thread), 0);
        cara_pool_free(pool);
    }
    assert_true(cara_threads_available() >= 1);
}

static mode_t mode_of(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_mode & 0777 : 0;
}

/* Modes are less umask; a name may be as long as the file system allows. */
static void names_and_modes_of_written_files(void **state) {
    (void)state;
    char dir[] = "/tmp/caracola-names-XXXXXX", path[64 + 256];
    assert_non_null(mkdtemp(dir));
    cara_error err;
    mode_t before = umask(027);
    int n = snprintf(path, sizeof path, "%s/", dir);
    for (int i = 0; i < 127; i++)
        n += snprintf(path + n, sizeof path - (size_t)n, "\xC3\xB1");
    snprintf(path + n, sizeof path - (size_t)n, "x"); /* 255 bytes */
    assert_int_equal(cara_write_file_atomic(path, "one", 3, 0666, 0, &err), CARA_OK);
    assert_int_equal(mode_of(path), 0640);
    assert_int_equal(cara_write_file_atomic(path, "two", 3, 0666, 0, &err), CARA_ERR_CONFLICT);
    assert_int_equal(cara_write_file_atomic(path, "two", 3, 0600, 1, &err), CARA_OK);
    assert_int_equal(mode_of(path), 0600);
    unlink(path);
    umask(before);
    assert_int_equal(rmdir(dir), 0); /* fails where a temporary was left behind */
}

static void folders_are_made_and_tried(void **state) {
    (void)state;
    char dir[] = "/tmp/caracola-dirs-XXXXXX", path[128];
    assert_non_null(mkdtemp(dir));
    cara_error err;
    mode_t before = umask(027);
    snprintf(path, sizeof path, "%s//a/./b/../c/", dir);
    assert_int_equal(cara_make_dirs(path, 0777, &err), CARA_OK);
    assert_int_equal(cara_make_dirs(path, 0700, &err), CARA_OK); /* is there already */
    snprintf(path, sizeof path, "%s/a/c", dir);
    assert_int_equal(mode_of(path), 0750);
    umask(before);
    assert_int_equal(cara_try_folder(path, &err), CARA_OK);
    assert_int_equal(rmdir(path), 0); /* fails where the trial left something */
    assert_int_equal(cara_try_folder(path, &err), CARA_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "cannot be written into"));
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(cara_make_dirs(path, 0777, &err), CARA_ERR_IO);
    assert_non_null(strstr(err.text, "is a link that leads nowhere"));
    unlink(path);
    assert_int_equal(cara_write_file_atomic(path, "", 0, 0600, 0, &err), CARA_OK);
    assert_int_equal(cara_make_dirs(path, 0777, &err), CARA_ERR_IO);
    assert_non_null(strstr(err.text, "is not a folder"));
    unlink(path);
    snprintf(path, sizeof path, "%s/a/b", dir);
    rmdir(path);
    snprintf(path, sizeof path, "%s/a", dir);
    rmdir(path);
    assert_int_equal(rmdir(dir), 0);
}

/* What a killed writer with our process id left behind (in a container every process is 1). */
static void stale_temporaries_stop_no_writer(void **state) {
    (void)state;
    char folder[] = "/tmp/caracola-stale-XXXXXX", path[64], stale[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);
    for (int i = 0; i < 100; i++) {
        snprintf(stale, sizeof stale, "%s.%ld-%d.tmp", path, (long)getpid(), i);
        FILE *f = fopen(stale, "w");
        assert_non_null(f);
        fclose(f);
    }
    assert_int_equal(cara_write_file_atomic(path, "one", 3, 0600, 1, NULL), CARA_OK);
    for (int i = 0; i < 100; i++) {
        snprintf(stale, sizeof stale, "%s.%ld-%d.tmp", path, (long)getpid(), i);
        assert_int_equal(unlink(stale), 0);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* A struct that has grown by `b`, and the same as an older and a newer caller know it. */
static void public_structs_can_grow(void **state) {
    (void)state;
    typedef struct ours {
        size_t struct_size;
        int a, b;
    } ours;
    typedef struct older {
        size_t struct_size;
        int a;
    } older;
    typedef struct newer {
        size_t struct_size;
        int a, b, c, d;
    } newer;
    const ours defaults = {sizeof defaults, 7, 8};
    older old;
    newer new;
    ours read = defaults, same;
    cara_error err;
    memset(&new, 0xFF, sizeof new);
    cara_sized_default(&old, offsetof(older, a) + sizeof old.a, &defaults, sizeof defaults);
    cara_sized_default(&new, sizeof new, &defaults, sizeof defaults);
    cara_sized_default(&same, sizeof same, &defaults, sizeof defaults);
    cara_sized_default(NULL, sizeof same, &defaults, sizeof defaults);
    assert_int_equal(old.a, 7);
    assert_int_equal(new.b, 8);
    assert_int_equal(new.c, 0);
    assert_int_equal(new.struct_size, sizeof new);
    assert_memory_equal(&same, &defaults, sizeof defaults);

    old.a = 1;
    assert_int_equal(cara_sized_read(&read, sizeof read, &old, "cara_x", &err), CARA_OK);
    assert_int_equal(read.a, 1);
    assert_int_equal(read.b, 8); /* what the older caller does not know stays at its default */
    assert_int_equal(read.struct_size, sizeof read);
    assert_int_equal(cara_sized_read(&read, sizeof read, NULL, "cara_x", &err), CARA_OK);
    assert_int_equal(read.a, 1);
    assert_int_equal(cara_sized_read(&read, sizeof read, &new, "cara_x", &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "newer"));
    same.struct_size = 0;
    assert_int_equal(cara_sized_read(&read, sizeof read, &same, "cara_x", &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "cara_x_default()"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_respects_its_limit_and_alignment),
        cmocka_unit_test(buf_stops_at_its_limit_and_keeps_what_it_has),
        cmocka_unit_test(utf8_strips_as_python_does),
        cmocka_unit_test(utf8_follows_python_replace),
        cmocka_unit_test(utf8_decodes_every_code_point),
        cmocka_unit_test(errors_are_one_line_and_prefixed),
        cmocka_unit_test(files_are_written_whole_or_not_at_all),
        cmocka_unit_test(streams_are_read_within_limits),
        cmocka_unit_test(files_are_written_piece_by_piece),
        cmocka_unit_test(names_and_modes_of_written_files),
        cmocka_unit_test(folders_are_made_and_tried),
        cmocka_unit_test(stale_temporaries_stop_no_writer),
        cmocka_unit_test(pool_runs_every_task_once),
        cmocka_unit_test(public_structs_can_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
