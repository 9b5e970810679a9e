/* Files to the bucket and images to the registry, each under a name made of its content, so that
 * what is there already need not be sent again. */
#ifndef DEPLOY_UPLOAD_H
#define DEPLOY_UPLOAD_H

#include "deploy/commands/progress.h"

typedef struct cara_upload_file {
    const char *path;
    char sha256[65];
    int64_t size;
} cara_upload_file;

/* Reads the file and takes its SHA-256. NOT_FOUND, IO, MEMORY. */
int cara_upload_open(cara_upload_file *file, const char *path, cara_error *err);

/* "30.2 MB" */
void cara_upload_amount(int64_t bytes, char *dst, size_t size);

/* To s3://bucket/key, unless an object of that size is there. `bucket` NULL: it is yet to be made,
 * in a dry run. As cara_awscli_json(). */
int cara_upload_object(const cara_awscli *cli, const cara_progress *progress, const char *bucket,
                       const char *key, const cara_upload_file *file, cara_error *err);

/* An OCI archive to the ECR repository `uri` (ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME), as a tag
 * made of its SHA-256, by skopeo (NULL: "skopeo", by PATH). Its address by digest goes into `image`
 * (in a dry run only where it is there already). */
int cara_upload_image(const cara_awscli *cli, const cara_progress *progress, const char *skopeo,
                      const char *uri, const cara_upload_file *file, char *image, size_t size,
                      cara_error *err);

#endif
