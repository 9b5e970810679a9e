/* |DFT|² of 400 real samples, for eight frames side by side. */
#ifndef WHISPER_FFT_H
#define WHISPER_FFT_H

#define CARA_FFT_LANES 8
#define CARA_FFT_BINS 201 /* 400 / 2 + 1 */

typedef struct cara_fft_tables {
    float twiddle[200][2]; /* e^(-2πi j / 200): cos, sin */
    float unpack[101][2];  /* e^(-2πi j / 400) */
    short order[200];      /* input index of each place after the digit reversal */
} cara_fft_tables;

/* x: sample i of lane l at x[i][l]; bin j's power to power[j][l]. */
typedef float cara_fft_lanes[CARA_FFT_LANES];

void cara_fft_tables_init(cara_fft_tables *tables);
void cara_fft_power(const cara_fft_tables *tables, cara_fft_lanes x[400],
                    cara_fft_lanes power[CARA_FFT_BINS]);

#endif
