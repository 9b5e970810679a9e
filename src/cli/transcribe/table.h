/* transcripts.csv: one table of the segments of all audio in an output folder.
 *
 * Rows are appended as each file is done, so a killed process loses none. When the table is closed,
 * the rows that it had of those files before are removed; rows of other files stay. It has whole
 * transcripts only. */
#ifndef CLI_TRANSCRIBE_TABLE_H
#define CLI_TRANSCRIBE_TABLE_H

#include "base/error.h"

#include <caracola/result.h>

typedef struct cara_table cara_table;

/* Opens the table of a folder that is there, or makes it. One process at a time has it. *cut (may
 * be NULL) is 1 where the last row was not whole and was removed. On success *out is the caller's,
 * to be given to cara_table_close(). USAGE where the file is there and is no such table; IO,
 * CONFLICT, MEMORY. */
int cara_table_open(const char *folder, cara_table **out, int *cut, cara_error *err);

/* 1 where the table had rows of that file when it was opened. */
int cara_table_has(const cara_table *table, const char *file);

/* Appends the rows of a whole transcript. On failure the table is as it was. */
int cara_table_add(cara_table *table, const char *file, const cara_result *result, cara_error *err);

/* Removes the rows that were replaced, and frees the table; NULL is allowed. IO, MEMORY: then the
 * replaced rows are still there. */
int cara_table_close(cara_table *table, cara_error *err);

#endif
