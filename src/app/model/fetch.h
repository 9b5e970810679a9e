/* A model from S3 to a file: `caracola model fetch`, and the function's fill. */
#ifndef APP_MODEL_FETCH_H
#define APP_MODEL_FETCH_H

#include "aws/s3/s3_file.h"

/* As cara_s3_fill_file(), from `url`, s3://bucket/key, where `fill` leaves bucket and key open.
 * `setting` is what gave the SHA-256, for messages: "--sha256". USAGE, before any call to S3, where
 * either of them is wrong. */
int cara_model_fetch(const char *url, const char *setting, const cara_s3_fill *fill,
                     cara_s3_filled *out, cara_error *err);

#endif
