#include "whisper/words/alignment.h"

#include <math.h>
#include <string.h>

#define WIDTH 7 /* medfilt_width of find_alignment() */
#define PAD (WIDTH / 2)

static void order(float *a, float *b) {
    float low = *a < *b ? *a : *b, high = *a < *b ? *b : *a;
    *a = low;
    *b = high;
}

/* The median of seven by a network of comparisons without branches, so that loops over it become
 * vectors. */
static float median(const float *x) {
    float a = x[0], b = x[1], c = x[2], d = x[3], e = x[4], f = x[5], g = x[6];
    order(&a, &f);
    order(&a, &d);
    order(&b, &g);
    order(&c, &e);
    order(&a, &b);
    order(&d, &f);
    order(&c, &g);
    order(&c, &d);
    order(&d, &g);
    order(&e, &f);
    order(&b, &e);
    order(&b, &d);
    order(&d, &e);
    return d;
}

/* median_filter(): adds the filtered row [n] to sum [n]. `padded` is [n + 2 * PAD]. */
static void add_filtered(const float *row, size_t n, float *padded, float *sum) {
    if (n <= PAD) { /* too short to be mirrored at its ends */
        for (size_t i = 0; i < n; i++)
            sum[i] += row[i];
        return;
    }
    memcpy(padded + PAD, row, n * sizeof *row);
    for (size_t i = 1; i <= PAD; i++) {
        padded[PAD - i] = row[i];
        padded[PAD + n - 1 + i] = row[n - 1 - i];
    }
    for (size_t i = 0; i < n; i++)
        sum[i] += median(padded + i);
}

void cara_alignment_add(const cara_kernels *kernels, float *scores, size_t n_heads, size_t n_tokens,
                        size_t n_positions, size_t n_used, float *scratch, float *sum) {
    float *mean = scratch, *inverse = scratch + n_used, *padded = scratch + 2 * n_used;
    for (size_t h = 0; h < n_heads; h++) {
        float *head = scores + h * n_tokens * n_positions;
        memset(mean, 0, 2 * n_used * sizeof *mean);
        for (size_t t = 0; t < n_tokens; t++) {
            float *row = head + t * n_positions;
            kernels->softmax(row, n_used);
            for (size_t i = 0; i < n_used; i++)
                mean[i] += row[i];
        }
        for (size_t i = 0; i < n_used; i++)
            mean[i] /= (float)n_tokens;
        for (size_t t = 0; t < n_tokens; t++)
            for (size_t i = 0; i < n_used; i++) {
                float x = head[t * n_positions + i] - mean[i];
                inverse[i] += x * x;
            }
        for (size_t i = 0; i < n_used; i++)
            inverse[i] = 1 / sqrtf(inverse[i] / (float)n_tokens);
        for (size_t t = 0; t < n_tokens; t++) {
            float *row = head + t * n_positions;
            for (size_t i = 0; i < n_used; i++)
                row[i] = (row[i] - mean[i]) * inverse[i];
            add_filtered(row, n_used, padded, sum + t * n_used);
        }
    }
}

enum { DIAGONAL, UP, LEFT }; /* where the path comes from: both before, the token, the position */

int cara_alignment_path(const float *matrix, size_t n_tokens, size_t n_positions, cara_arena *arena,
                        size_t *starts) {
    size_t n = n_tokens, m = n_positions;
    /* Costs of the position before, and of this one; [n + 1] each, from before the first token. */
    float *before = cara_arena_alloc(arena, n + 1, sizeof *before);
    float *here = cara_arena_alloc(arena, n + 1, sizeof *here);
    uint8_t *from = cara_arena_alloc(arena, n * m, sizeof *from); /* [m, n] */
    if (!before || !here || !from)
        return -1;
    for (size_t i = 1; i <= n; i++)
        before[i] = INFINITY;
    for (size_t j = 0; j < m; j++) {
        here[0] = INFINITY;
        for (size_t i = 1; i <= n; i++) {
            float diagonal = before[i - 1], up = here[i - 1], left = before[i], least = left;
            uint8_t way = LEFT;
            if (diagonal < up && diagonal < left) {
                least = diagonal;
                way = DIAGONAL;
            } else if (up < diagonal && up < left) {
                least = up;
                way = UP;
            }
            /* Sums of doubles, kept as floats. */
            here[i] = (float)(-(double)matrix[(i - 1) * m + j] + (double)least);
            from[j * n + i - 1] = way;
        }
        float *swap = before;
        before = here;
        here = swap;
    }
    size_t i = n - 1, j = m - 1;
    for (;;) {
        starts[i] = j; /* the last that is written is the first position */
        uint8_t way = from[j * n + i];
        if (i == 0 || j == 0) /* the borders lead straight to the first element */
            way = i == 0 ? LEFT : UP;
        if (i == 0 && j == 0)
            return 0;
        i -= way != LEFT;
        j -= way != UP;
    }
}
