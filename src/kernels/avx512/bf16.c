/* Attention with bf16 operands by AVX-512 BF16: each step multiplies a pair. */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vectors.h"

/* As with vpdpbusd, GCC 12 copies the sums around the intrinsic; in asm they stay in place. */
#ifdef CARA_EMULATED
static inline cara_v16 dot_pairs(cara_v16 c, cara_v16 x, cara_v16 w) {
    cara_v16u a = (cara_v16u)x, b = (cara_v16u)w;
    c = cara_fma_16((cara_v16)(a << 16), (cara_v16)(b << 16), c);
    return cara_fma_16((cara_v16)(a & 0xffff0000u), (cara_v16)(b & 0xffff0000u), c);
}
#define CARA_DOT(c, x, w) c = dot_pairs(c, x, w)
#else
#define CARA_DOT(c, x, w) __asm__("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(x), "v"(w))
#endif
CARA_512_TILES

#define ATTEND_PAIR 2
#include "kernels/avx512/attend_rows.h"

void cara_avx512_attend_bf16(const cara_attend *a, void *scratch) {
    attend_in_blocks(a, scratch);
}
