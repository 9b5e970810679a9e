/* Large objects of S3 in parts, into memory and into files, against an S3 on loopback. */
#define _DEFAULT_SOURCE /* usleep, flock */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/s3/s3_file.h"
#include "aws/s3/s3_memory.h"
#include "base/clock.h"
#include "base/files/file.h"
#include "crypto/digest.h"
#include "fake_platform.h"
#include "fake_s3.h"
#include "test_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define SIZE 100001

typedef struct fixture {
    fake_s3 s3;
    test_server *server;
    fake_platform platform_state;
    cara_platform platform;
    cara_aws_options aws;
    char bytes[SIZE];
    char sha256[65];
    char folder[64], path[80], part[100], state[100];
    cara_error err;
} fixture;

/* For several threads at once. */
static void short_sleep(void *ctx, double seconds) {
    (void)ctx;
    (void)seconds;
    usleep(1000);
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->server = test_server_start_handler(fake_s3_handle, &f->s3);
    f->platform_state =
        (fake_platform){.env = {{"AWS_ACCESS_KEY_ID", "AKID"},
                                {"AWS_SECRET_ACCESS_KEY", "secret"},
                                {"AWS_REGION", "us-east-1"},
                                {"AWS_ENDPOINT_URL_S3", test_server_url(f->server)}},
                        .now_ms = FAKE_NOW,
                        .random = 0.5};
    f->platform = fake_platform_of(&f->platform_state);
    f->platform.sleep = short_sleep;
    f->aws.platform = &f->platform;
    for (size_t i = 0; i < SIZE; i++)
        f->bytes[i] = (char)(i * 2654435761u >> 13);
    assert_int_equal(cara_sha256_hex(f->bytes, SIZE, f->sha256), 0);
    fake_s3_set_bytes(&f->s3, "models/m.cara", f->bytes, SIZE);
    snprintf(f->folder, sizeof f->folder, "/tmp/caracola-fetch-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/m.cara", f->folder);
    snprintf(f->part, sizeof f->part, "%s.part", f->path);
    snprintf(f->state, sizeof f->state, "%s.fill", f->path);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    test_server_stop(f->server);
    fake_s3_free(&f->s3);
    unlink(f->path);
    unlink(f->part);
    unlink(f->state);
    int rc = rmdir(f->folder); /* and nothing else is there */
    free(f);
    return rc;
}

static cara_s3_fetch_options from(fixture *f, size_t part, int connections) {
    return (cara_s3_fetch_options){.aws = &f->aws,
                                   .bucket = "bucket",
                                   .key = "models/m.cara",
                                   .part = part,
                                   .connections = connections};
}

/* ---- memory ---- */

static int in_memory(fixture *f, size_t part, int connections) {
    cara_s3_fetch_options options = from(f, part, connections);
    cara_s3_memory *m;
    memset(&f->err, 0, sizeof f->err);
    int rc = cara_s3_memory_open(&options, f->sha256, 0, &m, &f->err);
    if (rc) {
        assert_null(m);
        return rc;
    }
    rc = cara_s3_memory_verify(m, NULL, NULL, &f->err);
    cara_slice bytes = cara_s3_memory_bytes(m);
    assert_int_equal(bytes.len, SIZE);
    if (!rc) {
        assert_memory_equal(bytes.ptr, f->bytes, SIZE);
        assert_int_equal(cara_s3_memory_wait(m, SIZE, NULL, NULL, &f->err), CARA_OK);
    }
    cara_s3_memory_close(m);
    return rc;
}

static void any_part_size_and_number_of_connections(void **state) {
    fixture *f = *state;
    static const size_t parts[] = {1000, 4096, SIZE - 1, SIZE, SIZE + 1, 0};
    static const int connections[] = {1, 3, 8, 0};
    for (size_t p = 0; p < COUNT(parts); p++)
        for (size_t c = 0; c < COUNT(connections); c++) {
            f->s3.ranges = 0;
            assert_int_equal(in_memory(f, parts[p], connections[c]), CARA_OK);
            size_t n = parts[p] ? (SIZE + parts[p] - 1) / parts[p] : 1;
            assert_int_equal(f->s3.ranges, n);
        }
}

static void temporary_errors_are_tried_again(void **state) {
    fixture *f = *state;
    f->s3.refuse = 2; /* of the first requests */
    assert_int_equal(in_memory(f, 9000, 3), CARA_OK);
    f->s3.cut = 30;
    assert_int_equal(in_memory(f, 9000, 3), CARA_OK);
    assert_int_equal(f->s3.cut, 0);
}

static void shut(fake_s3 *s3) {
    s3->refuse = 1 << 20;
}

/* The settings say three. */
static void a_part_gets_eighteen_attempts(void **state) {
    fixture *f = *state;
    f->s3.on_range = shut; /* after the first part */
    assert_int_equal(in_memory(f, SIZE - 1, 1), CARA_ERR_NETWORK);
    assert_non_null(strstr(f->err.text, "after 18 attempts"));
    assert_int_equal(test_server_count(f->server), 1 + 1 + 18);
}

static void replace(fake_s3 *s3) {
    if (s3->ranges == 3)
        fake_s3_set(s3, "models/m.cara", "another");
}

static void remove_it(fake_s3 *s3) {
    struct fake_s3_object *o = fake_s3_find(s3, "models/m.cara");
    if (s3->ranges == 3 && o)
        snprintf(o->key, sizeof o->key, "gone");
}

static void lasting_errors_are_reported(void **state) {
    fixture *f = *state;
    const struct {
        void (*on_range)(fake_s3 *s3);
        int refuse, deny, flip, whole, rc;
        const char *says;
    } cases[] = {
        {.refuse = 1 << 20, .rc = CARA_ERR_NETWORK, .says = "HTTP 503"},
        {.deny = 1 << 20,
         .rc = CARA_ERR_DENIED,
         .says = "s3://bucket/models/m.cara: S3 HeadObject"},
        {.on_range = shut, .rc = CARA_ERR_NETWORK, .says = "SlowDown"},
        {.on_range = replace, .rc = CARA_ERR_CONFLICT, .says = "replaced while it was read"},
        {.on_range = remove_it, .rc = CARA_ERR_NOT_FOUND, .says = "NoSuchKey"},
        {.whole = 1, .rc = CARA_ERR_NETWORK, .says = "not the range"},
        {.flip = 1, .rc = CARA_ERR_MODEL_CORRUPT, .says = "CARACOLA_MODEL_SHA256"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        f->s3.refuse = cases[i].refuse;
        f->s3.deny = cases[i].deny;
        f->s3.flip = cases[i].flip;
        f->s3.whole = cases[i].whole;
        f->s3.on_range = cases[i].on_range;
        f->s3.ranges = 0;
        /* Small parts, so that the whole object in one answer is within the limit. */
        assert_int_equal(in_memory(f, 7000, 4), cases[i].rc);
        assert_non_null(strstr(f->err.text, cases[i].says));
        f->s3.refuse = f->s3.deny = f->s3.flip = f->s3.whole = 0;
        f->s3.on_range = NULL;
        struct fake_s3_object *o = fake_s3_find(&f->s3, "gone");
        if (o)
            snprintf(o->key, sizeof o->key, "models/m.cara");
        fake_s3_set_bytes(&f->s3, "models/m.cara", f->bytes, SIZE);
    }
}

static void invalid_fetch_settings_are_refused(void **state) {
    fixture *f = *state;
    cara_s3_memory *m;
    cara_s3_fetch_options options = from(f, 0, 0);
    assert_int_equal(cara_s3_memory_open(&options, NULL, 0, &m, &f->err), CARA_ERR_USAGE);
    assert_int_equal(cara_s3_memory_open(&options, "12ab", 0, &m, &f->err), CARA_ERR_USAGE);
    assert_int_equal(cara_s3_memory_open(&options, f->sha256, SIZE - 1, &m, &f->err),
                     CARA_ERR_MEMORY);
    options.key = "none";
    assert_int_equal(cara_s3_memory_open(&options, f->sha256, 0, &m, &f->err), CARA_ERR_NOT_FOUND);
    fake_s3_set(&f->s3, "empty", "");
    options.key = "empty";
    assert_int_equal(cara_s3_memory_open(&options, f->sha256, 0, &m, &f->err), CARA_ERR_USAGE);
    static const char *const urls[] = {"s3://bucket",    "s3://bucket/",   "s3://B/k", "/mnt/k",
                                       "s3:///key",      "s3://a b c/key", "",         "s3://ab/k",
                                       "https://b/k.pt", "s3:/bucket/key"};
    char bucket[64], key[CARA_S3_KEY_MAX + 1];
    for (size_t i = 0; i < COUNT(urls); i++)
        assert_int_equal(cara_s3_url_split(urls[i], bucket, key, &f->err), CARA_ERR_USAGE);
    assert_int_equal(cara_s3_url_split("s3://my-bucket/a/b c.pt", bucket, key, &f->err), CARA_OK);
    assert_string_equal(bucket, "my-bucket");
    assert_string_equal(key, "a/b c.pt");
}

static int at_once(void *cookie) {
    ++*(int *)cookie;
    return 1;
}

/* The server waits until the test has made its checks. */
static atomic_int may_go;

static void hold(fake_s3 *s3) {
    while (s3->ranges >= 2 && !atomic_load(&may_go))
        usleep(1000);
}

static void parts_can_be_used_as_they_come(void **state) {
    fixture *f = *state;
    cara_s3_fetch_options options = from(f, 10000, 1);
    cara_s3_memory *m;
    int polls = 0;
    atomic_store(&may_go, 0);
    f->s3.on_range = hold;
    assert_int_equal(cara_s3_memory_open(&options, f->sha256, 0, &m, &f->err), CARA_OK);
    while (cara_s3_memory_wait(m, 10000, at_once, &polls, &f->err) != CARA_OK)
        usleep(1000);
    assert_memory_equal(cara_s3_memory_bytes(m).ptr, f->bytes, 10000);
    polls = 0;
    assert_int_equal(cara_s3_memory_wait(m, SIZE, at_once, &polls, &f->err), CARA_ERR_CANCELLED);
    assert_int_equal(polls, 1);
    assert_int_equal(cara_s3_memory_verify(m, at_once, &polls, &f->err), CARA_ERR_CANCELLED);
    assert_non_null(strstr(f->err.text, "being fetched"));
    atomic_store(&may_go, 1);
    assert_int_equal(cara_s3_memory_verify(m, NULL, NULL, &f->err), CARA_OK);
    cara_s3_memory_close(m);
}

static void closing_in_the_middle_is_allowed(void **state) {
    fixture *f = *state;
    cara_s3_fetch_options options = from(f, 1000, 8);
    for (int i = 0; i < 5; i++) {
        cara_s3_memory *m;
        assert_int_equal(cara_s3_memory_open(&options, f->sha256, 0, &m, &f->err), CARA_OK);
        usleep((useconds_t)i * 2000);
        cara_s3_memory_close(m);
    }
}

/* ---- files ---- */

static int fill(fixture *f, cara_s3_filled *out, int (*stop)(void *), void *cookie) {
    const cara_s3_fill fill = {.from = from(f, 5000, 2),
                               .sha256 = f->sha256,
                               .path = f->path,
                               .stop = stop,
                               .cookie = cookie};
    memset(&f->err, 0, sizeof f->err);
    return cara_s3_fill_file(&fill, out, &f->err);
}

static void assert_file(fixture *f) {
    char *bytes;
    size_t n;
    assert_int_equal(cara_read_file(f->path, SIZE + 1, &bytes, &n, &f->err), CARA_OK);
    assert_int_equal(n, SIZE);
    assert_memory_equal(bytes, f->bytes, SIZE);
    free(bytes);
    assert_int_not_equal(access(f->part, F_OK), 0);
    assert_int_not_equal(access(f->state, F_OK), 0);
}

static void write_file(fixture *f, const char *path, const void *bytes, size_t n) {
    assert_int_equal(cara_write_file_atomic(path, bytes, n, 0600, 1, &f->err), CARA_OK);
}

static void a_file_is_filled_once(void **state) {
    fixture *f = *state;
    cara_s3_filled out;
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
    assert_true(out.done && !out.already && !out.busy);
    assert_int_equal(out.bytes, SIZE);
    assert_int_equal(out.size, SIZE);
    assert_file(f);
    size_t requests = test_server_count(f->server);
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
    assert_true(out.done && out.already);
    assert_int_equal(test_server_count(f->server), requests); /* S3 is not called */
    /* A file that is another, longer or shorter, is replaced. */
    write_file(f, f->path, "old", 3);
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
    assert_true(out.done && !out.already);
    assert_file(f);
}

/* Stops once so many ranges were given; parts that are then on their way are lost. */
typedef struct patience {
    fake_s3 *s3;
    int ranges;
} patience;

static int lost(void *cookie) {
    const patience *p = cookie;
    return p->s3->ranges >= p->ranges;
}

static void a_fill_resumes_after_an_interrupted_try(void **state) {
    fixture *f = *state;
    cara_s3_filled out = {0};
    uint64_t before = 0;
    int tries = 0;
    for (; !out.done; tries++) {
        patience p = {&f->s3, f->s3.ranges + 6};
        assert_int_equal(fill(f, &out, lost, &p), CARA_OK);
        assert_true(out.done || (out.bytes >= before && out.bytes < SIZE + 1));
        before = out.bytes;
        assert_true(tries < 30);
    }
    assert_file(f);
    assert_true(tries > 1);
    /* 21 parts, and those that two connections were fetching at each end. */
    assert_true(f->s3.ranges <= 21 + 2 * tries);
}

static void running_out_of_time_is_not_a_failure(void **state) {
    fixture *f = *state;
    cara_s3_filled out;
    cara_s3_fill one = {.from = from(f, 5000, 2), .sha256 = f->sha256, .path = f->path};
    one.from.deadline = cara_clock_monotonic();
    assert_int_equal(cara_s3_fill_file(&one, &out, &f->err), CARA_OK);
    assert_true(!out.done && !out.busy);
}

static void another_etag_restarts_the_fill(void **state) {
    fixture *f = *state;
    cara_s3_filled out;
    patience p = {&f->s3, 6};
    assert_int_equal(fill(f, &out, lost, &p), CARA_OK);
    assert_false(out.done);
    f->bytes[0] ^= 1;
    f->bytes[SIZE - 1] ^= 1;
    assert_int_equal(cara_sha256_hex(f->bytes, SIZE, f->sha256), 0);
    fake_s3_set_bytes(&f->s3, "models/m.cara", f->bytes, SIZE);
    f->s3.ranges = 0;
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
    assert_int_equal(f->s3.ranges, 21);
    assert_file(f);
}

static void a_damaged_state_file_restarts_the_fill(void **state) {
    fixture *f = *state;
    static const char *const states[] = {"", "caracola fill 1\n", "#####"};
    for (size_t i = 0; i < COUNT(states) + 1; i++) {
        cara_s3_filled out;
        patience p = {&f->s3, f->s3.ranges + 6};
        assert_int_equal(fill(f, &out, lost, &p), CARA_OK);
        assert_false(out.done);
        if (i < COUNT(states))
            write_file(f, f->state, states[i], strlen(states[i]));
        else
            assert_int_equal(truncate(f->part, 10), 0);
        f->s3.ranges = 0;
        assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
        assert_int_equal(f->s3.ranges, 21);
        assert_file(f);
        unlink(f->path);
    }
}

static void a_wrong_digest_removes_the_partial_file(void **state) {
    fixture *f = *state;
    cara_s3_filled out;
    f->s3.flip = 1;
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_ERR_MODEL_CORRUPT);
    assert_non_null(strstr(f->err.text, f->sha256));
    assert_int_not_equal(access(f->path, F_OK), 0);
    assert_int_not_equal(access(f->part, F_OK), 0);
    assert_int_not_equal(access(f->state, F_OK), 0);
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
    assert_file(f);
}

static void two_concurrent_fills_are_safe(void **state) {
    fixture *f = *state;
    cara_s3_filled out;
    int fd = open(f->state, O_RDWR | O_CREAT, 0644);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
    assert_true(!out.done && out.busy);
    assert_int_equal(f->s3.ranges, 0);
    close(fd);
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
    assert_true(out.done && !out.busy);
    assert_file(f);
}

static void error_texts_name_the_object(void **state) {
    fixture *f = *state;
    cara_s3_filled out;
    f->s3.deny = 1;
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_ERR_DENIED);
    f->s3.on_range = replace;
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_ERR_CONFLICT);
    assert_false(out.busy);
    f->s3.on_range = NULL;
    fake_s3_set_bytes(&f->s3, "models/m.cara", f->bytes, SIZE);
    /* A disk without room. */
    struct rlimit all, few = {SIZE / 2, RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    few.rlim_max = all.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_ERR_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
    assert_non_null(strstr(f->err.text, f->path));
    assert_int_equal(fill(f, &out, NULL, NULL), CARA_OK);
    assert_file(f);
    /* No folder; a folder of that name; no digest. */
    cara_s3_fill one = {.from = from(f, 0, 0), .sha256 = f->sha256, .path = "/no/such/m.cara"};
    assert_int_equal(cara_s3_fill_file(&one, &out, &f->err), CARA_ERR_NOT_FOUND);
    one.path = f->folder;
    assert_int_equal(cara_s3_fill_file(&one, &out, &f->err), CARA_ERR_IO);
    one.path = f->path;
    one.sha256 = "";
    assert_int_equal(cara_s3_fill_file(&one, &out, &f->err), CARA_ERR_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(any_part_size_and_number_of_connections),
        TEST(temporary_errors_are_tried_again),
        TEST(a_part_gets_eighteen_attempts),
        TEST(lasting_errors_are_reported),
        TEST(invalid_fetch_settings_are_refused),
        TEST(parts_can_be_used_as_they_come),
        TEST(closing_in_the_middle_is_allowed),
        TEST(a_file_is_filled_once),
        TEST(a_fill_resumes_after_an_interrupted_try),
        TEST(running_out_of_time_is_not_a_failure),
        TEST(another_etag_restarts_the_fill),
        TEST(a_damaged_state_file_restarts_the_fill),
        TEST(a_wrong_digest_removes_the_partial_file),
        TEST(two_concurrent_fills_are_safe),
        TEST(error_texts_name_the_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
