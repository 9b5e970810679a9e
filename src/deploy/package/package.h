/* A package as `make package` builds it: a zip for Lambda, or an image as an OCI archive. It is
 * looked through before anything is uploaded. Bytes are foreign: all is bounded. */
#ifndef DEPLOY_PACKAGE_H
#define DEPLOY_PACKAGE_H

#include "base/error.h"
#include "base/memory/buf.h"
#include "base/slice.h"

#include <stdint.h>

/* Of a zip, unpacked, with all layers: Lambda quotas, "Deployment package (.zip file archive)
 * size", 250 MB. Of an image: "Container image code package size", 10 GB. A zip that is uploaded
 * directly has a limit of 50 MB, but ours go by way of a bucket. */
#define CARA_PACKAGE_ZIP_LIMIT (250LL * 1024 * 1024)
#define CARA_PACKAGE_IMAGE_LIMIT (10LL * 1024 * 1024 * 1024)

typedef struct cara_package {
    const char *kind;         /* "zip", "image"; NULL: none was read */
    const char *architecture; /* "x86_64", "arm64" */
    int64_t packed, unpacked; /* bytes; of an image's compressed layers as they say themselves */
    int has_model;            /* 1: its settings name a model other than the demo model */
} cara_package;

/* The kind by the first bytes: "zip", "image" (a tar), or NULL. */
const char *cara_package_kind(cara_slice file);

/* `name` is the file's, for sentences. A zip: `bootstrap` is there, is a program for 64-bit Linux
 * and may be run; the sizes are within Lambda's limits. An image: one image whose manifest,
 * configuration and layers are there. USAGE: none of these, with the reason; MEMORY. */
int cara_package_read(cara_slice file, const char *name, cara_package *out, cara_error *err);

/* Appends "Area/Place\n" to `names` for each time zone that a program in it finds: those below
 * share/zoneinfo of a zip, usr/share/zoneinfo of an image. *known = 0 where layers are packed in a
 * way that cannot be read here. As cara_package_read(). */
int cara_package_zones(cara_slice file, const char *name, cara_buf *names, int *known,
                       cara_error *err);

/* The parts, exposed for each other. */
int cara_package_read_zip(cara_slice file, const char *name, cara_package *out, cara_buf *zones,
                          cara_error *err);
int cara_package_read_image(cara_slice file, const char *name, cara_package *out, cara_error *err);
int cara_package_image_zones(cara_slice file, const char *name, cara_buf *zones, int *known,
                             cara_error *err);
/* Appends `path` to `zones` (which may be NULL) if it begins with `folder` and names a zone. */
void cara_package_add_zone(cara_buf *zones, const char *folder, const char *path, size_t n);

#endif
