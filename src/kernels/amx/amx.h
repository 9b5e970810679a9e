/* AMX's tables and functions. */
#ifndef KERNELS_AMX_AMX_H
#define KERNELS_AMX_AMX_H

#include "kernels/kernels.h"

extern const cara_kernels cara_kernels_amx, cara_kernels_amx_bf16;

#define CARA_AMX_ROWS 32 /* queries that are multiplied together */

void cara_amx_attend(const cara_attend *a, void *scratch);

#endif
