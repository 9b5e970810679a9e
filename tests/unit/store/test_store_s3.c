/* The store on S3, over loopback HTTP against an S3 in memory that loses answers on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/client/client.h"
#include "fake_platform.h"
#include "fake_s3.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define KEY "2025-10-15/5215512345678-01-10-13-abcdefghijk.json"
#define FULL "notes/" KEY
#define PENDING "{\"id\":\"wamid.1\",\"status\":\"pending\"}\n"
#define COMPLETE "{\"id\":\"wamid.1\",\"status\":\"complete\"}\n"

/* Two processes at one bucket. */
typedef struct fixture {
    fake_s3 s3;
    test_server *server;
    fake_platform platform[2];
    cara_aws *aws[2];
    cara_store *store[2];
    cara_error err;
} fixture;

static void begin_with(fixture *f, double lease_s) {
    const cara_store_s3_options store_options = {.lease_s = lease_s};
    memset(f, 0, sizeof *f);
    f->server = test_server_start_handler(fake_s3_handle, &f->s3);
    for (int i = 0; i < 2; i++) {
        f->platform[i] =
            (fake_platform){.env = {{"AWS_ACCESS_KEY_ID", "AKID"},
                                    {"AWS_SECRET_ACCESS_KEY", "secret"},
                                    {"AWS_REGION", "us-east-1"},
                                    {"AWS_ENDPOINT_URL_S3", test_server_url(f->server)}},
                            .now_ms = FAKE_NOW,
                            .random = 0.25 + 0.5 * i};
        cara_platform platform = fake_platform_of(&f->platform[i]);
        const cara_aws_options options = {.platform = &platform};
        assert_int_equal(cara_aws_open(&options, &f->aws[i], &f->err), CARA_OK);
        assert_int_equal(cara_store_open_s3("s3://bucket/notes/", f->aws[i], &store_options,
                                            &f->store[i], &f->err),
                         CARA_OK);
    }
}

static void begin(fixture *f) {
    begin_with(f, 0);
}

static void end(fixture *f) {
    for (int i = 0; i < 2; i++) {
        cara_store_close(f->store[i]);
        cara_aws_close(f->aws[i]);
    }
    test_server_stop(f->server);
    fake_s3_free(&f->s3);
}

static const char *body(fixture *f) {
    struct fake_s3_object *o = fake_s3_find(&f->s3, FULL);
    return o ? o->body : "(none)";
}

static void put_get_and_conflict(void **state) {
    (void)state;
    fixture f;
    begin(&f);
    char *bytes;
    size_t n;
    assert_int_equal(cara_store_get(f.store[0], KEY, 100, &bytes, &n, &f.err), CARA_ERR_NOT_FOUND);
    assert_int_equal(cara_store_put(f.store[0], KEY, PENDING, strlen(PENDING), 1, &f.err), CARA_OK);
    assert_string_equal(body(&f), PENDING);
    assert_string_equal(fake_s3_find(&f.s3, FULL)->type, "application/json");
    assert_int_equal(cara_store_put(f.store[1], KEY, "x", 1, 1, &f.err), CARA_ERR_CONFLICT);
    assert_string_equal(body(&f), PENDING);
    assert_int_equal(cara_store_get(f.store[1], KEY, 100, &bytes, &n, &f.err), CARA_OK);
    assert_string_equal(bytes, PENDING);
    free(bytes);
    assert_int_equal(cara_store_put(f.store[1], KEY, "x", 1, 0, &f.err), CARA_OK);
    assert_string_equal(body(&f), "x");
    assert_int_equal(cara_store_put(f.store[0], "2025-10-15/1.ogg", "Ogg", 3, 1, &f.err), CARA_OK);
    assert_string_equal(fake_s3_find(&f.s3, "notes/2025-10-15/1.ogg")->type, "audio/ogg");
    assert_int_equal(cara_store_put(f.store[0], "../x", "", 0, 0, &f.err), CARA_ERR_USAGE);
    f.s3.refuse = 3;
    assert_int_equal(cara_store_put(f.store[0], KEY, "y", 1, 0, &f.err), CARA_ERR_STORE);
    assert_int_equal(f.err.code, CARA_ERR_STORE);
    end(&f);
}

static void one_claim_at_a_time(void **state) {
    (void)state;
    fixture f;
    begin(&f);
    cara_store_claim *mine, *other;
    assert_int_equal(cara_store_claim_take(f.store[0], KEY, &mine, &f.err), CARA_ERR_NOT_FOUND);
    fake_s3_set(&f.s3, FULL, PENDING);
    assert_int_equal(cara_store_claim_take(f.store[0], KEY, &mine, &f.err), CARA_OK);
    assert_int_equal(cara_store_claim_take(f.store[1], KEY, &other, &f.err), CARA_ERR_CONFLICT);
    assert_null(other);
    assert_non_null(strstr(f.err.text, "another process"));
    /* Other readers still see the same JSON. */
    const struct fake_s3_object *claimed = fake_s3_find(&f.s3, FULL);
    size_t n = strlen(PENDING);
    assert_true(claimed->len > n);
    assert_memory_equal(claimed->body, PENDING, n);
    assert_int_equal(strspn(claimed->body + n, " \t"), claimed->len - n);
    assert_int_equal(cara_store_claim_put(mine, COMPLETE, strlen(COMPLETE), &f.err), CARA_OK);
    assert_string_equal(body(&f), COMPLETE);
    assert_string_equal(fake_s3_find(&f.s3, FULL)->note, "");
    /* The claim's holder may write again. */
    assert_int_equal(cara_store_claim_put(mine, PENDING, strlen(PENDING), &f.err), CARA_OK);
    int writes = f.s3.writes;
    cara_store_claim_release(mine);
    assert_int_equal(f.s3.writes, writes);
    assert_int_equal(cara_store_claim_take(f.store[1], KEY, &other, &f.err), CARA_OK);
    cara_store_claim_release(other);
    assert_string_equal(body(&f), PENDING); /* as if it had never been claimed */
    assert_string_equal(fake_s3_find(&f.s3, FULL)->note, "");
    end(&f);
}

static void a_lease_outlives_its_process_until_it_ends(void **state) {
    (void)state;
    fixture f;
    begin_with(&f, 60);
    fake_s3_set(&f.s3, FULL, PENDING);
    cara_store_claim *dead, *next;
    assert_int_equal(cara_store_claim_take(f.store[0], KEY, &dead, &f.err), CARA_OK);
    f.platform[1].now_ms += 59 * 1000;
    assert_int_equal(cara_store_claim_take(f.store[1], KEY, &next, &f.err), CARA_ERR_CONFLICT);
    f.platform[1].now_ms += 2 * 1000;
    assert_int_equal(cara_store_claim_take(f.store[1], KEY, &next, &f.err), CARA_OK);
    /* It had not ended but was slow: it must not write over the other's work. */
    assert_int_equal(cara_store_claim_put(dead, "late", 4, &f.err), CARA_ERR_CONFLICT);
    cara_store_claim_release(dead);
    assert_int_equal(cara_store_claim_put(next, COMPLETE, strlen(COMPLETE), &f.err), CARA_OK);
    cara_store_claim_release(next);
    assert_string_equal(body(&f), COMPLETE);
    end(&f);
}

/* Else the record would be "handled by another process" for ever. */
static void a_lease_of_a_wrong_clock_is_no_lease(void **state) {
    (void)state;
    static const struct {
        int64_t ms; /* the end of the lease, from now on */
        int rc;
    } cases[] = {
        {60 * 1000, CARA_ERR_CONFLICT},
        {14 * 60 * 1000, CARA_ERR_CONFLICT},
        {17 * 60 * 1000, CARA_OK},
        {INT64_C(999999999999999), CARA_OK},
        {-1, CARA_OK},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f;
        begin_with(&f, 60);
        fake_s3_set(&f.s3, FULL, PENDING);
        struct fake_s3_object *o = fake_s3_find(&f.s3, FULL);
        snprintf(o->note, sizeof o->note, "claimed-until=%lld",
                 (long long)(f.platform[0].now_ms + cases[i].ms));
        cara_store_claim *claim;
        assert_int_equal(cara_store_claim_take(f.store[0], KEY, &claim, &f.err), cases[i].rc);
        if (claim)
            cara_store_claim_release(claim);
        end(&f);
    }
}

static void a_claim_lasts_as_long_as_it_is_renewed(void **state) {
    (void)state;
    fixture f;
    begin_with(&f, 60);
    fake_s3_set(&f.s3, FULL, PENDING);
    cara_store_claim *mine, *other;
    assert_int_equal(cara_store_claim_take(f.store[0], KEY, &mine, &f.err), CARA_OK);
    int writes = f.s3.writes;
    assert_int_equal(cara_store_claim_renew(mine, &f.err), CARA_OK);
    assert_int_equal(f.s3.writes, writes); /* it has just begun */
    for (int i = 0; i < 3; i++) {
        f.platform[0].now_ms += 50 * 1000;
        f.platform[1].now_ms += 50 * 1000;
        f.s3.lose_answers = i == 1;
        assert_int_equal(cara_store_claim_renew(mine, &f.err), CARA_OK);
        f.s3.lose_answers = 0;
        assert_int_equal(cara_store_claim_take(f.store[1], KEY, &other, &f.err), CARA_ERR_CONFLICT);
    }
    assert_int_equal(cara_store_claim_put(mine, COMPLETE, strlen(COMPLETE), &f.err), CARA_OK);
    cara_store_claim_release(mine);
    assert_string_equal(body(&f), COMPLETE);

    /* Too late: another process has it. */
    fake_s3_set(&f.s3, FULL, PENDING);
    assert_int_equal(cara_store_claim_take(f.store[0], KEY, &mine, &f.err), CARA_OK);
    f.platform[0].now_ms += 70 * 1000;
    f.platform[1].now_ms += 70 * 1000;
    assert_int_equal(cara_store_claim_take(f.store[1], KEY, &other, &f.err), CARA_OK);
    assert_int_equal(cara_store_claim_renew(mine, &f.err), CARA_ERR_CONFLICT);
    cara_store_claim_release(mine);
    cara_store_claim_release(other);
    end(&f);
}

/* Both read before either writes: then their marks decide, although the notes could be the same. */
static void one_of_two_concurrent_writers_wins(void **state) {
    (void)state;
    fixture f;
    begin(&f);
    for (int round = 0; round < 2; round++) {
        fake_s3_set(&f.s3, FULL, PENDING);
        cara_store_claim *mine;
        assert_int_equal(cara_store_claim_take(f.store[round], KEY, &mine, &f.err), CARA_OK);
        /* What the slower one would do now: its If-Match names the object before the claim. */
        char etag[64];
        snprintf(etag, sizeof etag, "%s", fake_s3_find(&f.s3, FULL)->etag);
        fake_s3_set(&f.s3, "other", PENDING);
        assert_string_not_equal(etag, fake_s3_find(&f.s3, "other")->etag);
        cara_store_claim_release(mine);
        assert_string_equal(fake_s3_find(&f.s3, FULL)->etag, fake_s3_find(&f.s3, "other")->etag);
    }
    end(&f);
}

static void lost_answers_are_not_conflicts(void **state) {
    (void)state;
    fixture f;
    begin(&f);
    fake_s3_set(&f.s3, FULL, PENDING);
    cara_store_claim *mine;
    f.s3.lose_answers = 1;
    assert_int_equal(cara_store_claim_take(f.store[0], KEY, &mine, &f.err), CARA_OK);
    assert_int_equal(f.s3.writes, 1);
    f.s3.lose_answers = 1;
    assert_int_equal(cara_store_claim_put(mine, COMPLETE, strlen(COMPLETE), &f.err), CARA_OK);
    assert_int_equal(cara_store_claim_put(mine, PENDING, strlen(PENDING), &f.err), CARA_OK);
    cara_store_claim_release(mine);
    assert_string_equal(body(&f), PENDING);
    end(&f);
}

static void store_urls_and_prefixes(void **state) {
    (void)state;
    fixture f;
    begin(&f);
    static const char *const good[][3] = {
        {"s3://bucket", "bucket", ""},
        {"s3://bucket/", "bucket", ""},
        {"s3://my.bucket-1/a/b//", "my.bucket-1", "a/b/"},
        {"s3://bucket//a", "bucket", "a/"},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        cara_store *store;
        const char *bucket, *prefix;
        assert_int_equal(cara_store_open_s3(good[i][0], f.aws[0], NULL, &store, &f.err), CARA_OK);
        cara_store_s3_place(store, &bucket, &prefix);
        assert_string_equal(bucket, good[i][1]);
        assert_string_equal(prefix, good[i][2]);
        cara_store_close(store);
    }
    char longest[1100] = "s3://bucket/";
    memset(longest + 12, 'p', 1000);
    const char *const bad[] = {"",        "bucket",  "s3://",       "s3:///x",
                               "S3://ab", "s3://a_", "s3://Bucket", longest};
    for (size_t i = 0; i < COUNT(bad); i++) {
        cara_store *store;
        if (cara_store_open_s3(bad[i], f.aws[0], NULL, &store, &f.err) != CARA_ERR_USAGE)
            fail_msg("took %s", bad[i]);
        assert_null(store);
    }
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_get_and_conflict),
        cmocka_unit_test(one_claim_at_a_time),
        cmocka_unit_test(a_lease_outlives_its_process_until_it_ends),
        cmocka_unit_test(a_lease_of_a_wrong_clock_is_no_lease),
        cmocka_unit_test(a_claim_lasts_as_long_as_it_is_renewed),
        cmocka_unit_test(one_of_two_concurrent_writers_wins),
        cmocka_unit_test(lost_answers_are_not_conflicts),
        cmocka_unit_test(store_urls_and_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
