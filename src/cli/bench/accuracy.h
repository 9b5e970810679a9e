/* What `caracola bench --accuracy` shows. */
#ifndef CLI_BENCH_ACCURACY_H
#define CLI_BENCH_ACCURACY_H

#include "bench/bench.h"

/* Measures the encoder of the float model in the file and prints a table, or one JSON object. Fails
 * as cara_bench_layers(). */
int cara_cli_bench_accuracy(const cara_bench_run *run, int json, cara_error *err);

#endif
