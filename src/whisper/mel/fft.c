/* 400 real samples are 200 complex ones (even samples real, odd ones imaginary); 200 = 5 * 5 * 4 *
 * 2 by decimation in time, in place after a digit reversal. Each step works on eight frames at
 * once, so that any compiler makes vectors of it. */
#include "whisper/mel/fft.h"

#include <math.h>
#include <string.h>

#define N 200
#define LANES CARA_FFT_LANES

typedef float lanes[LANES];

static const int radices[] = {5, 5, 4, 2}; /* first stage first */
#define STAGES 4

/* In decimation in time the last stage's radix splits the input first. */
static int source_of(int place) {
    int size = N, at = 0, step = 1;
    for (int s = STAGES - 1; s >= 0; s--) {
        size /= radices[s];
        at += place / size * step; /* which residue class of radix r */
        place %= size;
        step *= radices[s];
    }
    return at;
}

void cara_fft_tables_init(cara_fft_tables *t) {
    const double turn = -2 * 3.14159265358979323846;
    for (int i = 0; i < N; i++) {
        t->twiddle[i][0] = (float)cos(turn * i / N);
        t->twiddle[i][1] = (float)sin(turn * i / N);
        t->order[i] = (short)source_of(i);
    }
    for (int i = 0; i <= N / 2; i++) {
        t->unpack[i][0] = (float)cos(turn * i / (2 * N));
        t->unpack[i][1] = (float)sin(turn * i / (2 * N));
    }
}

static inline void multiply_by_root(lanes re, lanes im, const float w[2]) {
    float c = w[0], s = w[1];
    for (int l = 0; l < LANES; l++) {
        float a = re[l], b = im[l];
        re[l] = a * c - b * s;
        im[l] = a * s + b * c;
    }
}

static inline void butterfly_2(lanes *re, lanes *im, int step) {
    for (int l = 0; l < LANES; l++) {
        float a = re[0][l], b = im[0][l], c = re[step][l], d = im[step][l];
        re[0][l] = a + c;
        im[0][l] = b + d;
        re[step][l] = a - c;
        im[step][l] = b - d;
    }
}

static inline void butterfly_4(lanes *re, lanes *im, int step) {
    for (int l = 0; l < LANES; l++) {
        float r0 = re[0][l], r1 = re[step][l], r2 = re[2 * step][l], r3 = re[3 * step][l];
        float i0 = im[0][l], i1 = im[step][l], i2 = im[2 * step][l], i3 = im[3 * step][l];
        float ra = r0 + r2, rb = r0 - r2, rc = r1 + r3, rd = r1 - r3;
        float ia = i0 + i2, ib = i0 - i2, ic = i1 + i3, id = i1 - i3;
        re[0][l] = ra + rc;
        im[0][l] = ia + ic;
        re[step][l] = rb + id; /* times -i */
        im[step][l] = ib - rd;
        re[2 * step][l] = ra - rc;
        im[2 * step][l] = ia - ic;
        re[3 * step][l] = rb - id;
        im[3 * step][l] = ib + rd;
    }
}

static inline void butterfly_5(lanes *re, lanes *im, int step) {
    const float c1 = 0.30901699437494742f, c2 = -0.80901699437494742f; /* cos 72°, 144° */
    const float s1 = 0.95105651629515357f, s2 = 0.58778525229247313f;  /* sin 72°, 144° */
    for (int l = 0; l < LANES; l++) {
        float r0 = re[0][l], i0 = im[0][l];
        float ra = re[step][l] + re[4 * step][l], rb = re[step][l] - re[4 * step][l];
        float rc = re[2 * step][l] + re[3 * step][l], rd = re[2 * step][l] - re[3 * step][l];
        float ia = im[step][l] + im[4 * step][l], ib = im[step][l] - im[4 * step][l];
        float ic = im[2 * step][l] + im[3 * step][l], id = im[2 * step][l] - im[3 * step][l];
        float ru = r0 + c1 * ra + c2 * rc, iu = i0 + c1 * ia + c2 * ic;
        float rv = r0 + c2 * ra + c1 * rc, iv = i0 + c2 * ia + c1 * ic;
        float rp = s1 * ib + s2 * id, ip = s1 * rb + s2 * rd;
        float rq = s2 * ib - s1 * id, iq = s2 * rb - s1 * rd;
        re[0][l] = r0 + ra + rc;
        im[0][l] = i0 + ia + ic;
        re[step][l] = ru + rp;
        im[step][l] = iu - ip;
        re[4 * step][l] = ru - rp;
        im[4 * step][l] = iu + ip;
        re[2 * step][l] = rv + rq;
        im[2 * step][l] = iv - iq;
        re[3 * step][l] = rv - rq;
        im[3 * step][l] = iv + iq;
    }
}

static void transform(const cara_fft_tables *t, lanes re[N], lanes im[N]) {
    int done = 1; /* length of the transforms made so far */
    for (int s = 0; s < STAGES; s++) {
        int radix = radices[s], size = done * radix;
        for (int base = 0; base < N; base += size)
            for (int j = 0; j < done; j++) {
                lanes *r = re + base + j, *i = im + base + j;
                if (j)
                    for (int k = 1; k < radix; k++)
                        multiply_by_root(r[k * done], i[k * done], t->twiddle[N / size * j * k]);
                if (radix == 5)
                    butterfly_5(r, i, done);
                else if (radix == 4)
                    butterfly_4(r, i, done);
                else
                    butterfly_2(r, i, done);
            }
        done = size;
    }
}

void cara_fft_power(const cara_fft_tables *t, cara_fft_lanes x[400],
                    cara_fft_lanes power[CARA_FFT_BINS]) {
    lanes re[N], im[N];
    for (int i = 0; i < N; i++) {
        memcpy(re[i], x[2 * t->order[i]], sizeof(lanes));
        memcpy(im[i], x[2 * t->order[i] + 1], sizeof(lanes));
    }
    transform(t, re, im);
    /* X[j] = E[j] + w^j O[j], where E and O are the transforms of the even and the odd samples. */
    for (int j = 0; j <= N / 2; j++) {
        const int k = (N - j) % N;
        const float c = t->unpack[j][0], s = t->unpack[j][1];
        for (int l = 0; l < LANES; l++) {
            float er = 0.5f * (re[j][l] + re[k][l]), ei = 0.5f * (im[j][l] - im[k][l]);
            float or = 0.5f * (im[j][l] + im[k][l]), oi = -0.5f * (re[j][l] - re[k][l]);
            float wr = or *c - oi * s, wi = or *s + oi * c;
            float ar = er + wr, ai = ei + wi; /* X[j] */
            float br = er - wr, bi = ei - wi; /* conj X[N - j] */
            power[j][l] = ar * ar + ai * ai;
            power[N - j][l] = br * br + bi * bi;
        }
    }
}
