/* An S3 in memory behind test_server: objects with an ETag and metadata each, conditional writes,
 * ranges, lists in pages of two, and faults on demand. For one bucket named "bucket", path
 * style. */
#ifndef FAKE_S3_H
#define FAKE_S3_H

#include "test_server.h"

#include <stddef.h>

#define FAKE_S3_OBJECTS 32

typedef struct fake_s3 {
    struct fake_s3_object {
        char key[512]; /* decoded; "" where the slot is free */
        char *body;
        size_t len;
        char etag[40];
        char note[128];
        char type[64];
    } objects[FAKE_S3_OBJECTS];
    _Atomic int
        lose_answers;   /* so many writes from now take effect, and then the connection breaks */
    _Atomic int refuse; /* so many requests from now get a 503 */
    _Atomic int deny;   /* so many requests from now get a 403 */
    _Atomic int cut;    /* so many ranges from now end in a reset in their middle */
    _Atomic int flip;   /* in so many ranges from now one byte is another */
    _Atomic int whole;  /* ranges are ignored */
    _Atomic int ranges; /* that were given */
    /* Called before a range is given; may be NULL. */
    void (*on_range)(struct fake_s3 *s3);
    int writes; /* that took effect */
    char scratch[8192];
    char headers[1024];
} fake_s3;

void fake_s3_handle(void *ctx, const test_request *request, test_reply *reply);
struct fake_s3_object *fake_s3_find(fake_s3 *s3, const char *key);
/* Puts an object there without a request. */
void fake_s3_set(fake_s3 *s3, const char *key, const char *body);
void fake_s3_set_bytes(fake_s3 *s3, const char *key, const void *bytes, size_t n);
void fake_s3_free(fake_s3 *s3);

#endif
