/* Large blocks, and files that are read ahead. */
#define _GNU_SOURCE /* mincore, posix_fadvise */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files/file.h"
#include "base/files/read_ahead.h"
#include "base/memory/pages.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void blocks_are_aligned_zeroed_and_whole(void **state) {
    (void)state;
    static const size_t sizes[][2] = {
        {0, 8},       {8, 0},       {1, 1},           {1, 4095},    {1, 4096},
        {4097, 1},    {1023, 2048}, {1, 2 * MIB - 1}, {1, 2 * MIB}, {1, 2 * MIB + 1},
        {3, 2 * MIB}, {5, MIB + 7}, {16 * MIB, 1},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i][0] * sizes[i][1];
        unsigned char *p = cara_pages_alloc(sizes[i][0], sizes[i][1]);
        unsigned char *q = cara_pages_alloc(sizes[i][0], sizes[i][1]);
        assert_true(p && q && p != q);
        assert_int_equal((uintptr_t)p % (n >= 2 * MIB ? 2 * MIB : 4096), 0);
        for (size_t at = 0; at < n; at += at + 1 < n && at % 4096 == 0 ? 1 : 997)
            assert_int_equal(p[at], 0);
        if (n) {
            memset(p, 0xa5, n); /* to the last byte, and into no other block */
            assert_int_equal(q[0], 0);
            assert_int_equal(q[n - 1], 0);
        }
        cara_pages_free(p, sizes[i][0], sizes[i][1]);
        cara_pages_free(q, sizes[i][0], sizes[i][1]);
    }
}

static void out_of_memory_returns_null(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{SIZE_MAX, 2},
                                      {2, SIZE_MAX},
                                      {SIZE_MAX / 2, 3},
                                      {SIZE_MAX, 1},
                                      {(size_t)1 << 60, 1}}; /* more than there are addresses */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_null(cara_pages_alloc(sizes[i][0], sizes[i][1]));
    cara_pages_free(NULL, 1, 1);
}

/* A freed block is unmapped: address space does not leak with the alignment. */
static size_t field_of(const char *path, int which) {
    unsigned long fields[2] = {0};
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%lu %lu", &fields[0], &fields[1]) != 2)
        fields[which] = 0;
    if (f)
        fclose(f);
    return fields[which];
}

static size_t mapped(void) {
    return field_of("/proc/self/statm", 0) * (size_t)sysconf(_SC_PAGESIZE);
}

static void freed_blocks_are_unmapped(void **state) {
    (void)state;
    size_t before = mapped();
    if (!before)
        skip();
    for (int i = 0; i < 200; i++)
        cara_pages_free(cara_pages_alloc(3, MIB), 3, MIB);
    assert_true(mapped() < before + 8 * MIB);
}

/* ---- reading ahead ---- */

typedef struct sample {
    char path[128];
    cara_mapping file;
} sample;

static sample make_file(size_t n) {
    sample s;
    cara_error err;
    char *bytes = malloc(n + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 >> 5);
    snprintf(s.path, sizeof s.path, "/tmp/caracola-read-ahead-%ld", (long)getpid());
    assert_int_equal(cara_write_file_atomic(s.path, bytes, n, 0600, 1, &err), CARA_OK);
    free(bytes);
    int fd = open(s.path, O_RDONLY);
    assert_true(fd >= 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    assert_int_equal(cara_map_file(s.path, &s.file, &err), CARA_OK);
    return s;
}

/* Pages of the file that are in this process's tables (Linux: admin-guide/mm/pagemap.rst). */
static size_t pages_in_tables(const sample *s) {
    static uint64_t entries[64 * MIB / 4096];
    size_t pages = (s->file.size + 4095) / 4096, n = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    assert_true(fd >= 0 && pages <= sizeof entries / sizeof *entries);
    off_t from = (off_t)((uintptr_t)s->file.data / 4096 * sizeof *entries);
    assert_int_equal(pread(fd, entries, pages * sizeof *entries, from), pages * sizeof *entries);
    close(fd);
    for (size_t i = 0; i < pages; i++)
        n += entries[i] >> 63;
    return n;
}

static void drop_file(sample *s) {
    cara_unmap(&s->file);
    unlink(s->path);
}

static size_t resident(const sample *s) {
    static unsigned char there[64 * MIB / 4096];
    size_t pages = (s->file.size + 4095) / 4096, n = 0;
    assert_true(pages <= sizeof there);
    assert_int_equal(mincore((void *)(uintptr_t)s->file.data, s->file.size, there), 0);
    for (size_t i = 0; i < pages; i++)
        n += there[i] & 1;
    return n;
}

static void a_file_is_there_before_it_is_touched(void **state) {
    (void)state;
    static const struct {
        size_t size, from;
    } cases[] = {{40 * MIB + 5, 0}, {40 * MIB, 4096 * 3 + 64}, {1, 0}, {2 * MIB, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sample s = make_file(cases[i].size);
        size_t wanted = cases[i].size - cases[i].from;
        cara_read_ahead *a = cara_read_ahead_new(s.file.data + cases[i].from, wanted);
        assert_non_null(a);
        size_t pages = (cases[i].size + 4095) / 4096 - cases[i].from / 4096;
        assert_true(pages_in_tables(&s) < pages);
        cara_read_ahead_start(a);
        cara_read_ahead_start(a); /* does nothing: it has begun */
        for (int tries = 0; pages_in_tables(&s) < pages && tries < 30000; tries++)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        assert_true(pages_in_tables(&s) >= pages);
        assert_true(resident(&s) + cases[i].from / 4096 >= (cases[i].size + 4095) / 4096);
        cara_read_ahead_free(a);
        drop_file(&s);
    }
}

/* A released mapping has the same bytes as before, whose memory is ours no longer. */
static void released_memory_comes_back(void **state) {
    (void)state;
    sample s = make_file(8 * MIB + 9);
    size_t sum[2] = {0};
    for (int i = 0; i < 2; i++) {
        for (size_t at = 0; at < s.file.size; at++)
            sum[i] += s.file.data[at] * (at % 251);
        size_t before = field_of("/proc/self/statm", 1);
        cara_mapping_release(&s.file);
        size_t after = field_of("/proc/self/statm", 1);
        assert_true(!before || after + 7 * MIB / 4096 < before);
    }
    assert_true(sum[0] == sum[1] && sum[0] > 0);
    cara_mapping_release(&(cara_mapping){0});
    drop_file(&s);
}

/* Freed in the middle of the work, or before it: the mapping may go at once. */
static void read_ahead_stops_when_it_is_freed(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        sample s = make_file(16 * MIB);
        cara_read_ahead *a = cara_read_ahead_new(s.file.data, s.file.size);
        if (i % 3)
            cara_read_ahead_start(a);
        if (i % 3 == 2)
            nanosleep(&(struct timespec){.tv_nsec = 100000 * i}, NULL);
        cara_read_ahead_free(a);
        drop_file(&s);
    }
    cara_read_ahead *none = cara_read_ahead_new(NULL, 0);
    cara_read_ahead_start(none);
    cara_read_ahead_free(none);
    cara_read_ahead_start(NULL);
    cara_read_ahead_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_zeroed_and_whole),
        cmocka_unit_test(out_of_memory_returns_null),
        cmocka_unit_test(freed_blocks_are_unmapped),
        cmocka_unit_test(a_file_is_there_before_it_is_touched),
        cmocka_unit_test(released_memory_comes_back),
        cmocka_unit_test(read_ahead_stops_when_it_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
