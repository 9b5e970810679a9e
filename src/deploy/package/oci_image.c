/* An image as an OCI archive: a tar with index.json and blobs (OCI Image Layout Specification). */
#include "base/limits.h"
#include "deploy/package/package.h"
#include "deploy/package/tar.h"
#include "model/bytes.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BLOBS = 512, MOST_LAYERS = 127 };
#define DIGEST "sha256:"
#define BLOBS "blobs/sha256/"
#define JSON_LIMIT (4 * CARA_MIB)
/* Of layers that are unpacked to look for zones; ours have 0.2 GB. */
#define LOOK_LIMIT (4ULL * 1024 * 1024 * 1024)

typedef struct blob {
    char hex[65];
    cara_slice data;
} blob;

typedef struct archive {
    const char *name;
    cara_slice index; /* of index.json; empty: there is none */
    int is_docker;    /* it is one of `docker save`, which has a manifest.json instead */
    size_t n;
    blob blobs[MOST_BLOBS];
    json_t *manifest, *config;
} archive;

static int refuse(cara_error *err, const char *name, const char *why) {
    return cara_fail(err, CARA_ERR_USAGE, -1,
                     "%.150s is no image that can be used: %s; `make package` builds one into "
                     "build/package",
                     name, why);
}

static int read_entries(cara_slice file, archive *a, cara_error *err) {
    cara_tar tar;
    cara_error unsaid = {.code = CARA_OK, .position = -1};
    cara_tar_entry entry;
    int rc = cara_tar_open(&tar, file, file.len + 1, err);
    if (rc)
        return rc;
    while ((rc = cara_tar_next(&tar, &entry, &unsaid)) > 0) {
        if (entry.type != '0')
            continue;
        if (strcmp(entry.name, "index.json") == 0)
            a->index = entry.data;
        a->is_docker |= strcmp(entry.name, "manifest.json") == 0;
        const char *hex = entry.name + strlen(BLOBS);
        if (strncmp(entry.name, BLOBS, strlen(BLOBS)) != 0 || strlen(hex) != 64)
            continue;
        if (a->n == MOST_BLOBS) {
            rc = refuse(&unsaid, a->name, "it holds too many files");
            break;
        }
        memcpy(a->blobs[a->n].hex, hex, 65);
        a->blobs[a->n++].data = entry.data;
    }
    cara_tar_close(&tar);
    if (rc < 0)
        return refuse(err, a->name, unsaid.text);
    if (a->index.len)
        return CARA_OK;
    return refuse(err, a->name,
                  a->is_docker ? "it is an archive of Docker's; `skopeo copy docker-archive:FILE "
                                 "oci-archive:OUT` makes an OCI archive of it"
                               : "there is no index.json in it");
}

/* The blob of a descriptor {"digest", "size"}; NULL where it is not there, or has another size. */
static const blob *find(const archive *a, const json_t *descriptor) {
    const char *digest = cara_json_text_or(descriptor, "digest", "");
    json_int_t size = json_integer_value(json_object_get(descriptor, "size"));
    if (strncmp(digest, DIGEST, strlen(DIGEST)) != 0)
        return NULL;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->blobs[i].hex, digest + strlen(DIGEST)) == 0)
            return size >= 0 && (uint64_t)size == a->blobs[i].data.len ? &a->blobs[i] : NULL;
    return NULL;
}

/* NULL where it is no JSON object. */
static json_t *read_json(cara_slice bytes) {
    static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_USAGE, JSON_LIMIT);
    json_t *root = NULL;
    if (bytes.len > JSON_LIMIT ||
        cara_json_read((const char *)bytes.ptr, bytes.len, &rules, &root, NULL))
        return NULL;
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

static json_t *read_blob(const archive *a, const json_t *descriptor) {
    const blob *b = find(a, descriptor);
    return b ? read_json(b->data) : NULL;
}

/* index.json, the manifest that it names, and the configuration that that names. */
static int read_documents(archive *a, cara_error *err) {
    json_t *index = read_json(a->index);
    int rc = CARA_OK;
    for (int depth = 0; !rc && !a->manifest && depth < 3; depth++) {
        const json_t *list = json_object_get(index, "manifests");
        if (json_array_size(list) != 1) {
            rc = refuse(err, a->name,
                        json_array_size(list) > 1
                            ? "it holds several images, and one is needed: `skopeo copy "
                              "--override-arch ARCH` picks one"
                            : "its index.json names no image");
            break;
        }
        json_t *next = read_blob(a, json_array_get(list, 0));
        if (!next)
            rc = refuse(err, a->name, "the manifest that its index names is not in it");
        else if (json_object_get(next, "manifests")) {
            json_decref(index);
            index = next;
        } else
            a->manifest = next;
    }
    json_decref(index);
    if (!rc && !a->manifest)
        rc = refuse(err, a->name, "its index.json names no image");
    if (!rc && !(a->config = read_blob(a, json_object_get(a->manifest, "config"))))
        rc = refuse(err, a->name, "its configuration is not in it");
    return rc;
}

static int open_archive(cara_slice file, const char *name, archive **out, cara_error *err) {
    archive *a = *out = calloc(1, sizeof *a);
    if (!a)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to look through %.200s", name);
    a->name = name;
    int rc = read_entries(file, a, err);
    return rc ? rc : read_documents(a, err);
}

static void close_archive(archive *a) {
    if (!a)
        return;
    json_decref(a->manifest);
    json_decref(a->config);
    free(a);
}

static const json_t *layers_of(const archive *a) {
    return json_object_get(a->manifest, "layers");
}

static int read_layers(const archive *a, cara_package *out, cara_error *err) {
    const json_t *layers = layers_of(a);
    size_t n = json_array_size(layers);
    if (n == 0 || n > MOST_LAYERS)
        return refuse(err, a->name, n ? "it has more than 127 layers" : "it has no layers");
    for (size_t i = 0; i < n; i++) {
        const blob *b = find(a, json_array_get(layers, i));
        if (!b)
            return refuse(err, a->name, "a layer is missing, or cut short");
        out->packed += (int64_t)b->data.len;
        /* The last four bytes of gzip: its size, unpacked (RFC 1952). */
        out->unpacked += cara_tar_is_gzip(b->data) && b->data.len >= 18
                             ? (int64_t)cara_le32(b->data.ptr + b->data.len - 4)
                             : (int64_t)b->data.len;
    }
    if (out->unpacked > CARA_PACKAGE_IMAGE_LIMIT)
        return refuse(err, a->name, "it unpacks to more than the 10 GB that Lambda takes");
    return CARA_OK;
}

/* 1 where its settings name a model, and not the demo model. */
static int names_model(const json_t *config) {
    static const char name[] = "CARACOLA_MODEL=", demo[] = "/demo.cara";
    const json_t *env = json_object_get(json_object_get(config, "config"), "Env");
    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *text = json_string_value(json_array_get(env, i));
        if (!text || strncmp(text, name, sizeof name - 1) != 0)
            continue;
        size_t n = strlen(text), m = sizeof demo - 1;
        return n > sizeof name - 1 && (n < m || strcmp(text + n - m, demo) != 0);
    }
    return 0;
}

int cara_package_read_image(cara_slice file, const char *name, cara_package *out, cara_error *err) {
    archive *a;
    *out = (cara_package){.kind = "image"};
    int rc = open_archive(file, name, &a, err);
    if (!rc) {
        const char *architecture = cara_json_text_or(a->config, "architecture", "");
        out->architecture = strcmp(architecture, "amd64") == 0   ? "x86_64"
                            : strcmp(architecture, "arm64") == 0 ? "arm64"
                                                                 : NULL;
        out->has_model = names_model(a->config);
        if (!out->architecture || strcmp(cara_json_text_or(a->config, "os", ""), "linux") != 0)
            rc = refuse(err, name, "it is neither for Linux on amd64 nor on arm64");
    }
    if (!rc)
        rc = read_layers(a, out, err);
    close_archive(a);
    return rc;
}

static int layer_zones(const archive *a, const blob *layer, uint64_t *left, cara_buf *zones,
                       int *known, cara_error *err) {
    cara_tar tar;
    cara_tar_entry entry;
    cara_error unsaid = {.code = CARA_OK, .position = -1};
    if (!cara_tar_is_gzip(layer->data) && !cara_tar_is(layer->data)) {
        *known = 0; /* zstd */
        return CARA_OK;
    }
    int rc = cara_tar_open(&tar, layer->data, *left, err);
    if (rc)
        return rc;
    while ((rc = cara_tar_next(&tar, &entry, &unsaid)) > 0)
        if (entry.type >= '0' && entry.type <= '2')
            cara_package_add_zone(zones, "usr/share/zoneinfo/", entry.name, strlen(entry.name));
    *left = tar.left;
    cara_tar_close(&tar);
    return rc < 0 ? refuse(err, a->name, unsaid.text) : CARA_OK;
}

int cara_package_image_zones(cara_slice file, const char *name, cara_buf *zones, int *known,
                             cara_error *err) {
    archive *a;
    uint64_t left = LOOK_LIMIT;
    int rc = open_archive(file, name, &a, err);
    const json_t *layers = rc ? NULL : layers_of(a);
    *known = 1;
    for (size_t i = 0; !rc && i < json_array_size(layers) && i < MOST_LAYERS; i++) {
        const blob *layer = find(a, json_array_get(layers, i));
        rc = layer ? layer_zones(a, layer, &left, zones, known, err)
                   : refuse(err, name, "a layer is missing, or cut short");
    }
    close_archive(a);
    return rc;
}
