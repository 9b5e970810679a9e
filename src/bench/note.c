/* A voice note to decode: Opus as WhatsApp sends it (16 kHz mono, 16 kbit/s, frames of 60 ms), in
 * Ogg pages (RFC 3533, RFC 7845) of one packet each. */
#include "base/limits.h"
#include "base/memory/buf.h"
#include "bench/bench.h"

#include <math.h>
#include <opus.h>
#include <stdlib.h>
#include <string.h>

#define RATE 16000
#define FRAME 960 /* samples of 60 ms */
#define FRAMES 500
#define PACKET_MAX 1275

static uint32_t page_crc(const uint8_t *p, size_t n) {
    uint32_t crc = 0;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint32_t)p[i] << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc & 0x80000000u ? 0x04c11db7u : 0);
    }
    return crc;
}

static void put32(uint8_t *to, uint32_t v) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static void put_page(cara_buf *out, int flags, uint64_t granule, uint32_t serial,
                     const uint8_t *packet, size_t n) {
    uint8_t page[27 + 6 + PACKET_MAX] = "OggS";
    size_t laces = n / 255 + 1;
    page[5] = (uint8_t)flags;
    put32(page + 6, (uint32_t)granule);
    put32(page + 10, (uint32_t)(granule >> 32));
    put32(page + 14, 1);
    put32(page + 18, serial);
    page[26] = (uint8_t)laces;
    memset(page + 27, 255, laces - 1);
    page[27 + laces - 1] = (uint8_t)(n % 255);
    memcpy(page + 27 + laces, packet, n);
    put32(page + 22, page_crc(page, 27 + laces + n));
    cara_buf_add(out, page, 27 + laces + n);
}

/* A sound like speech: harmonics of a varying pitch, in syllables, and a little noise. */
static void make_samples(int16_t *pcm, size_t n) {
    double phase = 0;
    uint32_t noise = 1;
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / RATE, pitch = 140 + 30 * sin(2 * 3.14159265 * 0.7 * t), v = 0;
        double level = 0.5 + 0.5 * sin(2 * 3.14159265 * 4 * t);
        phase += pitch / RATE;
        for (int h = 1; h <= 12; h++)
            v += sin(2 * 3.14159265 * h * phase) / h;
        noise = noise * 1664525u + 1013904223u;
        v += ((double)(noise >> 16) / 32768.0 - 1) * 0.2;
        pcm[i] = (int16_t)(v * level * level * 6000);
    }
}

unsigned char *cara_bench_note(size_t *n) {
    cara_buf out;
    cara_buf_init(&out, 4 * CARA_MIB);
    int wrong = 0;
    int16_t *pcm = malloc(sizeof *pcm * FRAME * FRAMES);
    OpusEncoder *encoder = opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &wrong);
    if (!pcm || !encoder)
        goto end;
    opus_encoder_ctl(encoder, OPUS_SET_BITRATE(16000));
    make_samples(pcm, (size_t)FRAME * FRAMES);
    static const uint8_t head[19] = {'O', 'p', 'u',  's',  'H', 'e', 'a', 'd', 1, 1,
                                     0,   0,   0x80, 0x3e, 0,   0,   0,   0,   0};
    static const uint8_t tags[20] = {'O', 'p', 'u', 's', 'T', 'a', 'g', 's', 4, 0,
                                     0,   0,   'n', 'o', 't', 'e', 0,   0,   0, 0};
    put_page(&out, 2, 0, 0, head, sizeof head);
    put_page(&out, 0, 0, 1, tags, sizeof tags);
    for (uint32_t i = 0; i < FRAMES; i++) {
        uint8_t packet[PACKET_MAX];
        int bytes = opus_encode(encoder, pcm + i * FRAME, FRAME, packet, PACKET_MAX);
        if (bytes < 0) {
            out.failed = 1;
            break;
        }
        put_page(&out, i + 1 == FRAMES ? 4 : 0, (uint64_t)(i + 1) * FRAME * 3, i + 2, packet,
                 (size_t)bytes);
    }
end:
    if (encoder)
        opus_encoder_destroy(encoder);
    free(pcm);
    if (out.failed || !out.data) {
        cara_buf_free(&out);
        return NULL;
    }
    *n = out.len;
    return (unsigned char *)out.data; /* the buffer's memory, now the caller's */
}
