/* Rows of a table in CSV; <caracola/writers.h> describes them. */
#ifndef TRANSCRIPT_CSV_H
#define TRANSCRIPT_CSV_H

#include "base/memory/buf.h"

#include <caracola/writers.h>

/* The row of column names. Failures stay in out->failed. */
void cara_csv_header(const cara_transcript_options *options, cara_buf *out);

/* One row; times in milliseconds, and text [n] of valid UTF-8. Failures stay in out->failed. */
void cara_csv_row(const cara_transcript_options *options, int64_t start, int64_t end,
                  const char *text, size_t n, cara_buf *out);

#endif
