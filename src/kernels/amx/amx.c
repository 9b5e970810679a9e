/* The tables of AMX's level: AVX-512's with AMX's products. */
#include "kernels/amx/amx.h"

#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vectors.h"

const cara_kernels cara_kernels_amx =
    CARA_512_TABLE(CARA_CPU_AMX, cara_i8_amx, cara_avx512_attend, CARA_512_ROWS);
const cara_kernels cara_kernels_amx_bf16 =
    CARA_512_TABLE(CARA_CPU_AMX, cara_i8_amx, cara_amx_attend, CARA_AMX_ROWS);
