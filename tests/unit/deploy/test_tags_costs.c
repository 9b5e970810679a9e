#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files/file.h"
#include "deploy/costs.h"
#include "deploy/tags.h"
#include "model/dims.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- tags ---- */

static void good(const char *text, const char *json) {
    json_t *tags, *want = json_loads(json, 0, NULL);
    cara_error err = {.code = CARA_OK};
    if (cara_tags_read(text, &tags, &err))
        fail_msg("%s: %s", text, err.text);
    assert_non_null(want);
    if (!json_equal(tags, want))
        fail_msg("%s is not %s", text, json);
    json_decref(want);
    json_decref(tags);
}

static void bad(const char *text, const char *words) {
    json_t *tags;
    cara_error err = {.code = CARA_OK};
    if (cara_tags_read(text, &tags, &err) != CARA_ERR_USAGE || tags)
        fail_msg("%s is taken", text);
    if (!strstr(err.text, words) || !strstr(err.text, "--tags"))
        fail_msg("%s: %s", text, err.text);
}

static void test_tags(void **state) {
    (void)state;
    good("a=b", "[{\"Key\": \"a\", \"Value\": \"b\"}]");
    good("none", "[]");
    good("Cost Center=42/7,e=", "[{\"Key\": \"Cost Center\", \"Value\": \"42/7\"},"
                                "{\"Key\": \"e\", \"Value\": \"\"}]");
    good("k=a=b+c@d:e_f.g-h", "[{\"Key\": \"k\", \"Value\": \"a=b+c@d:e_f.g-h\"}]");
    good("due\xc3\xb1o=Jos\xc3\xa9", "[{\"Key\": \"due\\u00f1o\", \"Value\": \"Jos\\u00e9\"}]");
    bad("", "has no =");
    bad("a", "has no =");
    bad("a=b,", "has no =");
    bad("=b", "empty");
    bad("a=b,a=c", "twice");
    bad("aws:x=b", "only AWS");
    bad("AWS:x=b", "only AWS");
    bad("a=b*", "has a character other than");
    bad("a=\xff", "has a character other than");
    bad("a=b\nc", "has a character other than");
}

static void test_lengths_of_tags(void **state) {
    (void)state;
    char text[2000];
    json_t *tags;
    cara_error err;
    /* Letters, not bytes: two bytes each. */
    for (int n = 128; n <= 129; n++) {
        size_t at = 0;
        for (int i = 0; i < n; i++, at += 2)
            memcpy(text + at, "\xc3\xb1", 2);
        snprintf(text + at, sizeof text - at, "=x");
        assert_int_equal(cara_tags_read(text, &tags, &err), n == 128 ? CARA_OK : CARA_ERR_USAGE);
        json_decref(tags);
    }
    for (int n = 256; n <= 257; n++) {
        snprintf(text, sizeof text, "k=%0*d", n, 0);
        assert_int_equal(cara_tags_read(text, &tags, &err), n == 256 ? CARA_OK : CARA_ERR_USAGE);
        json_decref(tags);
    }
    for (int n = 50; n <= 51; n++) {
        size_t at = 0;
        for (int i = 0; i < n; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%sk%d=v", i ? "," : "", i);
        assert_int_equal(cara_tags_read(text, &tags, &err), n == 50 ? CARA_OK : CARA_ERR_USAGE);
        json_decref(tags);
    }
}

/* ---- costs ---- */

static char *page(void) {
    char path[1024], *text;
    size_t n;
    const char *root = getenv("CARACOLA_SOURCE_DIR");
    assert_non_null(root);
    snprintf(path, sizeof path, "%s/docs/deploy.md", root);
    assert_int_equal(cara_read_file(path, 1 << 20, &text, &n, NULL), CARA_OK);
    return text;
}

static void test_prices_are_those_of_the_page(void **state) {
    (void)state;
    char *text = page(), *from = strstr(text, "## What it costs");
    assert_non_null(from);
    char *to = strstr(from, "### Idle, a month");
    assert_non_null(to);
    *to = 0;
    assert_non_null(strstr(from, CARA_PRICES_DATE));
    assert_non_null(strstr(from, CARA_PRICES_REGION));
    for (int i = 0; i < CARA_N_PRICES; i++) {
        if (!strstr(from, cara_prices[i].dollars))
            fail_msg("docs/deploy.md has no %s for %s", cara_prices[i].dollars,
                     cara_prices[i].unit);
        char service[40];
        snprintf(service, sizeof service, "`%s`", cara_prices[i].service);
        if (!strstr(from, service))
            fail_msg("docs/deploy.md names no page of %s", cara_prices[i].service);
    }
    free(text);
}

/* The table "1,000 notes of 20 s" of docs/deploy.md: CPU s, MB, Lambda $, Fargate $. */
static const struct {
    const char *model, *memory;
    double cpu, lambda, fargate;
} measured[] = {
    {"tiny", "1769", 0.5, 0.04, 0.01},
    {"base", "1769", 0.9, 0.06, 0.01},
    {"small", "3008", 3.0, 0.14, 0.05},
    {"medium", "3008", 9.0, 0.31, 0.15},
    {"large-v3-turbo", "3008", 12.6, 0.41, 0.20},
    {"large-v3", "5307", 17.3, 0.59, 0.28},
};

static void near(double got, double want, double within, const char *what) {
    if (fabs(got - want) > within)
        fail_msg("%s: %.3f, and the page has %.3f", what, got, want);
}

static void test_estimates_are_those_of_the_page(void **state) {
    (void)state;
    char *text = page();
    for (size_t i = 0; i < COUNT(measured); i++) {
        char row[80];
        snprintf(row, sizeof row, "| %s | ", measured[i].model);
        assert_non_null(strstr(text, row));
        cara_deploy *d = calloc(1, sizeof *d);
        assert_non_null(d);
        assert_int_equal(cara_dims_published(measured[i].model, &d->model.dims), 0);
        d->model.bytes = 1;
        near(cara_costs_cpu_s(&d->model.dims), measured[i].cpu, 0.2 * measured[i].cpu + 0.1,
             measured[i].model);
        d->request.values[CARA_SET_MEMORY] = measured[i].memory;
        /* The page leaves out S3's and Lambda's requests, which are 0.02 $. */
        near(cara_costs_estimate(d).notes, measured[i].lambda + 0.02,
             0.2 * measured[i].lambda + 0.01, measured[i].model);
        d->request.values[CARA_SET_VARIANT] = "worker";
        near(cara_costs_estimate(d).notes, measured[i].fargate + 0.02,
             0.2 * measured[i].fargate + 0.01, measured[i].model);
        free(d);
    }
    free(text);
}

static void test_idle(void **state) {
    (void)state;
    cara_deploy *d = calloc(1, sizeof *d);
    assert_non_null(d);
    d->package = (cara_package){.kind = "zip", .architecture = "x86_64", .packed = 100000000};
    d->model.bytes = 800000000;
    near(cara_costs_estimate(d).idle, 0.9 * 0.023, 1e-6, "direct");
    d->package.kind = "image";
    near(cara_costs_estimate(d).idle, 0.8 * 0.023 + 0.1 * 0.1, 1e-6, "an image");
    d->request.values[CARA_SET_VARIANT] = "vpc";
    d->request.values[CARA_SET_DELIVERY] = "efs";
    near(cara_costs_estimate(d).idle, 0.8 * 0.023 + 0.01 + 32.85 + 3.65 + 0.24, 1e-6, "vpc");
    d->request.values[CARA_SET_ZONES] = "2";
    near(cara_costs_estimate(d).idle, 0.8 * 0.023 + 0.01 + 73 + 0.24, 1e-6, "two zones");
    d->request.values[CARA_SET_NETWORK] = "endpoints";
    near(cara_costs_estimate(d).idle, 0.8 * 0.023 + 0.01 + 14.6 + 0.24, 1e-6, "endpoints");
    d->request.values[CARA_SET_SUBNET] = "subnet-1";
    near(cara_costs_estimate(d).idle, 0.8 * 0.023 + 0.01 + 0.24, 1e-6, "an existing network");
    d->request.values[CARA_SET_SUBNET] = NULL;
    d->request.values[CARA_SET_VARIANT] = "worker";
    d->request.values[CARA_SET_DELIVERY] = "s3";
    near(cara_costs_estimate(d).idle, 0.8 * 0.023 + 0.01 + 73, 1e-6, "workers by endpoints");
    d->request.values[CARA_SET_NETWORK] = "internet";
    near(cara_costs_estimate(d).idle, 0.8 * 0.023 + 0.01, 1e-6, "no worker");
    d->request.values[CARA_SET_WORKER_MINIMUM] = "1";
    near(cara_costs_estimate(d).idle, 0.8 * 0.023 + 0.01 + 85.06 + 3.65, 0.01, "a worker");
    free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_lengths_of_tags),
        cmocka_unit_test(test_prices_are_those_of_the_page),
        cmocka_unit_test(test_estimates_are_those_of_the_page),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
