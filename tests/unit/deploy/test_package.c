/* Packages: each built here, byte by byte, then damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/digest.h"
#include "deploy/package/package.h"
#include "deploy/package/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- zips ---- */

static void put16(cara_buf *b, unsigned v) {
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    assert_int_equal(cara_buf_add(b, bytes, 2), 0);
}

static void put32(cara_buf *b, uint64_t v) {
    put16(b, (unsigned)(v & 0xffff));
    put16(b, (unsigned)(v >> 16 & 0xffff));
}

typedef struct zip_file {
    const char *name;
    unsigned machine; /* 0: "#!/bin/sh" instead of a program */
    unsigned mode, flags, method;
    uint64_t size; /* that the directory says; 0: the right one */
} zip_file;

static void put_both(cara_buf *b, const zip_file *f, size_t packed, size_t size) {
    put16(b, 20);
    put16(b, f->flags);
    put16(b, f->method);
    put32(b, 0);
    put32(b, 0);
    put32(b, packed);
    put32(b, f->size ? f->size : size);
    put16(b, (unsigned)strlen(f->name));
    put16(b, 0);
}

/* The archive, which is the caller's. */
static cara_buf make_zip(const zip_file *files, size_t n) {
    cara_buf b, directory;
    cara_buf_init(&b, 1 << 20);
    cara_buf_init(&directory, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        uint8_t body[64] = "\177ELF\2\1\1", packed[200];
        body[16] = 2;
        body[18] = (uint8_t)files[i].machine;
        if (!files[i].machine)
            snprintf((char *)body, sizeof body, "#!/bin/sh\nexec true, a script and no program\n");
        size_t n_packed = sizeof body;
        memcpy(packed, body, sizeof body);
        if (files[i].method == 8) {
            z_stream z = {.next_in = body,
                          .avail_in = sizeof body,
                          .next_out = packed,
                          .avail_out = sizeof packed};
            assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, 0), Z_OK);
            assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
            n_packed = z.total_out;
            deflateEnd(&z);
        }
        size_t at = b.len;
        put32(&b, 0x04034b50);
        put_both(&b, &files[i], n_packed, sizeof body);
        cara_buf_str(&b, files[i].name);
        cara_buf_add(&b, packed, n_packed);
        put32(&directory, 0x02014b50);
        put16(&directory, 0x0314);
        put_both(&directory, &files[i], n_packed, sizeof body);
        put16(&directory, 0);
        put16(&directory, 0);
        put16(&directory, 0);
        put32(&directory, (uint64_t)(0100000 | files[i].mode) << 16);
        put32(&directory, at);
        cara_buf_str(&directory, files[i].name);
    }
    size_t at = b.len;
    cara_buf_add(&b, directory.data, directory.len);
    put32(&b, 0x06054b50);
    put32(&b, 0);
    put16(&b, (unsigned)n);
    put16(&b, (unsigned)n);
    put32(&b, directory.len);
    put32(&b, at);
    put16(&b, 0);
    cara_buf_free(&directory);
    return b;
}

static cara_slice slice(const cara_buf *b) {
    return cara_slice_of(b->data, b->len);
}

static void refused(cara_slice file, const char *words) {
    cara_package p;
    cara_error err = {.code = CARA_OK};
    int rc = cara_package_read(file, "x.zip", &p, &err);
    if (rc != CARA_ERR_USAGE || !strstr(err.text, words))
        fail_msg("%d: \"%s\" lacks \"%s\"", rc, err.text, words);
}

static void test_zip(void **state) {
    (void)state;
    for (int arm = 0; arm < 2; arm++)
        for (unsigned method = 0; method <= 8; method += 8) {
            const zip_file files[] = {
                {.name = "share/zoneinfo/America/Mazatlan", .machine = 1, .mode = 0644},
                {.name = "share/zoneinfo/America/", .machine = 1, .mode = 0755},
                {.name = "share/zoneinfo/zone1970.tab", .machine = 1, .mode = 0644},
                {.name = "bootstrap", .machine = arm ? 183 : 62, .mode = 0755, .method = method},
            };
            cara_buf b = make_zip(files, COUNT(files)), zones;
            cara_package p;
            cara_error err;
            int known;
            assert_int_equal(cara_package_read(slice(&b), "x", &p, &err), CARA_OK);
            assert_string_equal(p.kind, "zip");
            assert_string_equal(p.architecture, arm ? "arm64" : "x86_64");
            assert_int_equal(p.unpacked, 4 * 64);
            assert_int_equal(p.packed, b.len);
            cara_buf_init(&zones, 1000);
            assert_int_equal(cara_package_zones(slice(&b), "x", &zones, &known, &err), CARA_OK);
            assert_string_equal(zones.data, "America/Mazatlan\n");
            assert_int_equal(known, 1);
            cara_buf_free(&zones);
            cara_buf_free(&b);
        }
}

static void test_zips_that_are_refused(void **state) {
    (void)state;
    static const struct {
        zip_file file;
        const char *words;
    } cases[] = {
        {{.name = "other", .machine = 62, .mode = 0755}, "no file named bootstrap"},
        {{.name = "bin/bootstrap", .machine = 62, .mode = 0755}, "no file named bootstrap"},
        {{.name = "bootstrap", .machine = 0, .mode = 0755}, "is no program for Linux"},
        {{.name = "bootstrap", .machine = 8, .mode = 0755}, "is no program for Linux"},
        {{.name = "bootstrap", .machine = 62, .mode = 0644}, "may not be run"},
        {{.name = "bootstrap", .machine = 62, .mode = 0755, .flags = 1}, "encrypted"},
        {{.name = "bootstrap", .machine = 62, .mode = 0755, .method = 12}, "packed in a way"},
        {{.name = "bootstrap", .machine = 62, .mode = 0755, .size = 262144001}, "250 MB"},
        {{.name = "bootstrap", .machine = 62, .mode = 0755, .size = 0xffffffff},
         "lacks the 64-bit sizes"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cara_buf b = make_zip(&cases[i].file, 1);
        refused(slice(&b), cases[i].words);
        cara_buf_free(&b);
    }
    const zip_file whole = {.name = "bootstrap", .machine = 62, .mode = 0755, .size = 262144000};
    cara_buf b = make_zip(&whole, 1);
    cara_package p;
    cara_error err;
    assert_int_equal(cara_package_read(slice(&b), "x", &p, &err), CARA_OK);
    /* Cut anywhere it is refused, and nothing outside is read (under ASan). */
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, b.data, n);
        assert_int_equal(cara_package_read(cara_slice_of(copy, n), "x", &p, &err), CARA_ERR_USAGE);
        free(copy);
    }
    cara_buf_free(&b);
}

/* ---- images ---- */

static void tar_add(cara_buf *b, const char *name, char type, const void *data, size_t n) {
    uint8_t h[512] = {0};
    snprintf((char *)h, 100, "%s", name);
    snprintf((char *)h + 100, 8, "0000644");
    snprintf((char *)h + 124, 12, "%011llo", (unsigned long long)n);
    snprintf((char *)h + 136, 12, "00000000000");
    memset(h + 148, ' ', 8);
    h[156] = (uint8_t)type;
    memcpy(h + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
    static const uint8_t zeros[512];
    cara_buf_add(b, h, sizeof h);
    cara_buf_add(b, data, n);
    cara_buf_add(b, zeros, (512 - n % 512) % 512);
}

static void tar_end(cara_buf *b) {
    static const uint8_t zeros[1024];
    cara_buf_add(b, zeros, sizeof zeros);
}

static cara_buf gzip(const cara_buf *plain) {
    cara_buf out;
    cara_buf_init(&out, 1 << 20);
    static uint8_t packed[100000];
    z_stream z = {.next_in = (Bytef *)plain->data,
                  .avail_in = (uInt)plain->len,
                  .next_out = packed,
                  .avail_out = sizeof packed};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    cara_buf_add(&out, packed, z.total_out);
    deflateEnd(&z);
    return out;
}

/* Adds a blob; its descriptor goes into `descriptor`. */
static void add_blob(cara_buf *b, const void *data, size_t n, char *descriptor, size_t size) {
    char hex[65], name[100];
    assert_int_equal(cara_sha256_hex(data, n, hex), 0);
    snprintf(name, sizeof name, "blobs/sha256/%s", hex);
    tar_add(b, name, '0', data, n);
    snprintf(descriptor, size, "{\"digest\":\"sha256:%s\",\"size\":%zu}", hex, n);
}

/* `layer` is packed already; `config` is JSON. */
static cara_buf make_image(const cara_buf *layer, const char *config) {
    cara_buf b;
    cara_buf_init(&b, 1 << 20);
    char one[200], two[200], three[200], text[1000];
    add_blob(&b, layer->data, layer->len, one, sizeof one);
    add_blob(&b, config, strlen(config), two, sizeof two);
    snprintf(text, sizeof text, "{\"config\":%s,\"layers\":[%s]}", two, one);
    add_blob(&b, text, strlen(text), three, sizeof three);
    snprintf(text, sizeof text, "{\"manifests\":[%s]}", three);
    tar_add(&b, "index.json", '0', text, strlen(text));
    tar_end(&b);
    return b;
}

static cara_buf make_layer(void) {
    cara_buf plain;
    cara_buf_init(&plain, 1 << 20);
    char pax[200], long_path[150];
    memset(long_path, 'd', sizeof long_path);
    long_path[sizeof long_path - 1] = 0;
    tar_add(&plain, "./usr/share/zoneinfo/America/", '5', NULL, 0);
    tar_add(&plain, "./usr/share/zoneinfo/America/Mazatlan", '0', "TZif2", 5);
    tar_add(&plain, "usr/share/zoneinfo/Mexico/BajaSur", '2', NULL, 0);
    int n = snprintf(pax, sizeof pax, "%s", "38 path=usr/share/zoneinfo/Asia/Tokyo\n");
    tar_add(&plain, "PaxHeader", 'x', pax, (size_t)n);
    tar_add(&plain, "short", '0', "TZif2", 5);
    tar_add(&plain, "././@LongLink", 'L', long_path, sizeof long_path);
    tar_add(&plain, "short", '0', "x", 1);
    tar_end(&plain);
    return plain;
}

#define AMD64 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"A=b\"]}}"

static void test_image(void **state) {
    (void)state;
    cara_buf plain = make_layer(), packed = gzip(&plain);
    const cara_buf *const layers[] = {&plain, &packed};
    for (size_t i = 0; i < 2; i++) {
        cara_buf b = make_image(layers[i], AMD64), zones;
        cara_package p;
        cara_error err = {.code = CARA_OK};
        int known;
        if (cara_package_read(slice(&b), "x", &p, &err))
            fail_msg("%s", err.text);
        assert_string_equal(p.kind, "image");
        assert_string_equal(p.architecture, "x86_64");
        assert_int_equal(p.packed, layers[i]->len);
        assert_int_equal(p.unpacked, plain.len);
        assert_int_equal(p.has_model, 0);
        cara_buf_init(&zones, 1000);
        assert_int_equal(cara_package_zones(slice(&b), "x", &zones, &known, &err), CARA_OK);
        assert_string_equal(zones.data, "America/Mazatlan\nMexico/BajaSur\nAsia/Tokyo\n");
        assert_int_equal(known, 1);
        cara_buf_free(&zones);
        for (size_t n = 0; n + 1024 < b.len; n += 61) {
            uint8_t *copy = malloc(n ? n : 1);
            assert_non_null(copy);
            memcpy(copy, b.data, n);
            assert_int_equal(cara_package_read(cara_slice_of(copy, n), "x", &p, &err),
                             CARA_ERR_USAGE);
            free(copy);
        }
        cara_buf_free(&b);
    }
    cara_buf_free(&packed);
    cara_buf_free(&plain);
}

static void test_what_an_image_says(void **state) {
    (void)state;
    cara_buf layer = make_layer();
    static const struct {
        const char *config;
        const char *architecture;
        int has_model;
    } good[] = {
        {"{\"architecture\":\"arm64\",\"os\":\"linux\"}", "arm64", 0},
        {"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"CARACOLA_MODEL=/usr/"
         "share/caracola/models/medium.cara\"]}}",
         "x86_64", 1},
        {"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"CARACOLA_MODEL=/usr/"
         "share/caracola/models/demo.cara\"]}}",
         "x86_64", 0},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        cara_buf b = make_image(&layer, good[i].config);
        cara_package p;
        cara_error err;
        assert_int_equal(cara_package_read(slice(&b), "x", &p, &err), CARA_OK);
        assert_string_equal(p.architecture, good[i].architecture);
        assert_int_equal(p.has_model, good[i].has_model);
        cara_buf_free(&b);
    }
    static const char *const bad[] = {
        "{\"architecture\":\"riscv64\",\"os\":\"linux\"}",
        "{\"architecture\":\"amd64\",\"os\":\"windows\"}",
        "{}",
        "[]",
        "what",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        cara_buf b = make_image(&layer, bad[i]);
        refused(slice(&b), "is no image that can be used");
        cara_buf_free(&b);
    }
    cara_buf_free(&layer);
}

static void test_archives_that_are_no_image(void **state) {
    (void)state;
    cara_buf b;
    cara_buf_init(&b, 1 << 20);
    tar_add(&b, "file", '0', "x", 1);
    tar_end(&b);
    refused(slice(&b), "there is no index.json in it");
    cara_buf_clear(&b);
    tar_add(&b, "manifest.json", '0', "[]", 2);
    tar_end(&b);
    refused(slice(&b), "docker-archive:FILE");
    cara_buf_clear(&b);
    tar_add(&b, "index.json", '0', "{\"manifests\":[{},{}]}", 21);
    tar_end(&b);
    refused(slice(&b), "several images");
    cara_buf_clear(&b);
    static const char missing[] = "{\"manifests\":[{\"digest\":\"sha256:00\",\"size\":1}]}";
    tar_add(&b, "index.json", '0', missing, sizeof missing - 1);
    tar_end(&b);
    refused(slice(&b), "is not in it");
    cara_buf_free(&b);
    refused(cara_slice_of("hello", 5), "is no zip, and no OCI archive");
    refused(cara_slice_of("", 0), "is no zip, and no OCI archive");
}

/* A layer that unpacks to more than may be looked at ends, and does not fill memory. */
static void test_a_layer_is_bounded(void **state) {
    (void)state;
    cara_buf plain;
    cara_buf_init(&plain, 1 << 20);
    static const uint8_t body[100000];
    tar_add(&plain, "a", '0', body, sizeof body);
    tar_end(&plain);
    cara_buf packed = gzip(&plain);
    cara_tar tar;
    cara_tar_entry entry;
    cara_error err;
    assert_int_equal(cara_tar_open(&tar, slice(&packed), 50000, &err), CARA_OK);
    assert_int_equal(cara_tar_next(&tar, &entry, &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "larger than it may be"));
    cara_tar_close(&tar);
    /* Cut in the middle, and with a broken byte. */
    assert_int_equal(cara_tar_open(&tar, cara_slice_of(packed.data, packed.len / 2), 1 << 20, &err),
                     CARA_OK);
    int rc;
    while ((rc = cara_tar_next(&tar, &entry, &err)) > 0) {
    }
    assert_int_equal(rc, CARA_ERR_USAGE);
    cara_tar_close(&tar);
    cara_buf_free(&packed);
    cara_buf_free(&plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zip),
        cmocka_unit_test(test_zips_that_are_refused),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_what_an_image_says),
        cmocka_unit_test(test_archives_that_are_no_image),
        cmocka_unit_test(test_a_layer_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
