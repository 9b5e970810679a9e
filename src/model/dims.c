#include "model/dims.h"

#include <stdio.h>
#include <string.h>

/* {layer, head} pairs: the cross-attention heads that follow the audio, as published in
 * whisper/__init__.py (_ALIGNMENT_HEADS). */
static const uint8_t heads_tiny_en[][2] = {{1, 0}, {2, 0}, {2, 5}, {3, 0},
                                           {3, 1}, {3, 2}, {3, 3}, {3, 4}};
static const uint8_t heads_tiny[][2] = {{2, 2}, {3, 0}, {3, 2}, {3, 3}, {3, 4}, {3, 5}};
static const uint8_t heads_base_en[][2] = {{3, 3}, {4, 7}, {5, 1}, {5, 5}, {5, 7}};
static const uint8_t heads_base[][2] = {{3, 1}, {4, 2}, {4, 3}, {4, 7},
                                        {5, 1}, {5, 2}, {5, 4}, {5, 6}};
static const uint8_t heads_small_en[][2] = {
    {6, 6},  {7, 0},  {7, 3},  {7, 8},  {8, 2},  {8, 5},  {8, 7},   {9, 0},  {9, 4}, {9, 8},
    {9, 10}, {10, 0}, {10, 1}, {10, 2}, {10, 3}, {10, 6}, {10, 11}, {11, 2}, {11, 4}};
static const uint8_t heads_small[][2] = {{5, 3}, {5, 9}, {8, 0}, {8, 4}, {8, 7},
                                         {8, 8}, {9, 0}, {9, 7}, {9, 9}, {10, 5}};
static const uint8_t heads_medium_en[][2] = {
    {11, 4},  {14, 1}, {14, 12}, {14, 14}, {15, 4}, {16, 0}, {16, 4}, {16, 9},  {17, 12},
    {17, 14}, {18, 7}, {18, 10}, {18, 15}, {20, 0}, {20, 3}, {20, 9}, {20, 14}, {21, 12}};
static const uint8_t heads_medium[][2] = {{13, 15}, {15, 4}, {15, 15}, {16, 1}, {20, 0}, {23, 4}};
static const uint8_t heads_large_v1[][2] = {{9, 19},  {11, 2},  {11, 4}, {11, 17}, {22, 7},
                                            {22, 11}, {22, 17}, {23, 2}, {23, 15}};
static const uint8_t heads_large_v2[][2] = {
    {10, 12}, {13, 17}, {16, 11}, {16, 12}, {16, 13}, {17, 15}, {17, 16}, {18, 4},
    {18, 11}, {18, 19}, {19, 11}, {21, 2},  {21, 3},  {22, 3},  {22, 9},  {22, 12},
    {23, 5},  {23, 7},  {23, 13}, {25, 5},  {26, 1},  {26, 12}, {27, 15}};
static const uint8_t heads_large_v3[][2] = {{7, 0},   {10, 17}, {12, 18}, {13, 12}, {16, 1},
                                            {17, 14}, {19, 11}, {21, 4},  {24, 1},  {25, 6}};
static const uint8_t heads_large_v3_turbo[][2] = {{2, 4}, {2, 11}, {3, 3},
                                                  {3, 6}, {3, 11}, {3, 14}};

#define HEADS(table) table, sizeof(table) / sizeof((table)[0])

static const struct published {
    const char *name;
    int32_t n_mels, n_vocab, n_state, n_head, n_audio_layer, n_text_layer;
    const uint8_t (*heads)[2];
    size_t n_heads;
} published[] = {
    {"tiny.en", 80, 51864, 384, 6, 4, 4, HEADS(heads_tiny_en)},
    {"tiny", 80, 51865, 384, 6, 4, 4, HEADS(heads_tiny)},
    {"base.en", 80, 51864, 512, 8, 6, 6, HEADS(heads_base_en)},
    {"base", 80, 51865, 512, 8, 6, 6, HEADS(heads_base)},
    {"small.en", 80, 51864, 768, 12, 12, 12, HEADS(heads_small_en)},
    {"small", 80, 51865, 768, 12, 12, 12, HEADS(heads_small)},
    {"medium.en", 80, 51864, 1024, 16, 24, 24, HEADS(heads_medium_en)},
    {"medium", 80, 51865, 1024, 16, 24, 24, HEADS(heads_medium)},
    {"large-v1", 80, 51865, 1280, 20, 32, 32, HEADS(heads_large_v1)},
    {"large-v2", 80, 51865, 1280, 20, 32, 32, HEADS(heads_large_v2)},
    {"large-v3", 128, 51866, 1280, 20, 32, 32, HEADS(heads_large_v3)},
    {"large-v3-turbo", 128, 51866, 1280, 20, 32, 4, HEADS(heads_large_v3_turbo)},
};
#define N_PUBLISHED (sizeof published / sizeof published[0])

typedef struct bound {
    const char *member;
    int32_t value, low, high;
} bound;

int cara_dims_check(const cara_dims *d, cara_error *err) {
    /* Wide enough for any Whisper to come, narrow enough that no product of them overflows. */
    const bound bounds[] = {
        {"n_audio_ctx", d->n_audio_ctx, 1500, 1500}, /* 30 s of frames, halved by conv2 */
        {"n_audio_state", d->n_audio_state, 2, 16384}, {"n_audio_head", d->n_audio_head, 1, 512},
        {"n_audio_layer", d->n_audio_layer, 1, 256},   {"n_vocab", d->n_vocab, 51864, 51866},
        {"n_text_ctx", d->n_text_ctx, 8, 4096},        {"n_text_state", d->n_text_state, 2, 16384},
        {"n_text_head", d->n_text_head, 1, 512},       {"n_text_layer", d->n_text_layer, 1, 256},
    };
    if (d->n_mels != 80 && d->n_mels != 128)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                         "n_mels is %d, but Whisper's mel filters have 80 or 128 bins",
                         (int)d->n_mels);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        const bound *b = &bounds[i];
        if (b->value >= b->low && b->value <= b->high)
            continue;
        if (b->low == b->high)
            return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1, "%s is %d, but Whisper's is %d",
                             b->member, (int)b->value, (int)b->low);
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1, "%s is %d, but may be %d to %d", b->member,
                         (int)b->value, (int)b->low, (int)b->high);
    }
    if (d->n_audio_state != d->n_text_state)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                         "n_audio_state is %d and n_text_state %d, but the decoder attends to the "
                         "encoder's output, so they must be equal",
                         (int)d->n_audio_state, (int)d->n_text_state);
    if (d->n_audio_state % 2 || d->n_audio_state % d->n_audio_head ||
        d->n_text_state % d->n_text_head)
        return cara_fail(err, CARA_ERR_MODEL_SHAPE, -1,
                         "a width of %d must be even and a multiple of the number of heads, %d in "
                         "the encoder and %d in the decoder",
                         (int)d->n_audio_state, (int)d->n_audio_head, (int)d->n_text_head);
    return CARA_OK;
}

static int fits(const cara_dims *d, const struct published *p) {
    return d->n_mels == p->n_mels && d->n_vocab == p->n_vocab && d->n_audio_ctx == 1500 &&
           d->n_text_ctx == 448 && d->n_audio_state == p->n_state &&
           d->n_text_state == p->n_state && d->n_audio_head == p->n_head &&
           d->n_text_head == p->n_head && d->n_audio_layer == p->n_audio_layer &&
           d->n_text_layer == p->n_text_layer;
}

const char *cara_dims_name(const cara_dims *dims, const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *file = slash ? slash + 1 : path ? path : "";
    const char *name = NULL;
    for (size_t i = 0; i < N_PUBLISHED; i++) {
        const struct published *p = &published[i];
        if (!fits(dims, p))
            continue;
        if (strncmp(p->name, "large-v", 7) != 0 || p->n_vocab != 51865)
            return p->name;
        if (strstr(file, p->name))
            return p->name;
        name = "large";
    }
    return name ? name : "custom";
}

int cara_dims_are_multilingual(const cara_dims *dims) {
    return dims->n_vocab >= 51865;
}

double cara_dims_working_mb(const cara_dims *d) {
    double cross = 2.0 * d->n_text_layer * d->n_audio_ctx * d->n_text_state * 2;
    double self = 5.0 * 2.0 * d->n_text_layer * d->n_text_ctx * d->n_text_state * 4;
    double rows = (double)d->n_audio_ctx * d->n_audio_state * 4 * 8;
    return (cross + self + rows) / 1e6 + 64;
}

int cara_dims_published(const char *name, cara_dims *dims) {
    for (size_t i = 0; i < N_PUBLISHED; i++) {
        const struct published *p = &published[i];
        if (strcmp(p->name, name) != 0)
            continue;
        *dims = (cara_dims){p->n_mels,  1500, p->n_state, p->n_head, p->n_audio_layer,
                            p->n_vocab, 448,  p->n_state, p->n_head, p->n_text_layer};
        return 0;
    }
    return -1;
}

const char *cara_dims_published_name(size_t i) {
    return i < N_PUBLISHED ? published[i].name : NULL;
}

int cara_dims_alignment_heads(const cara_dims *dims, const char *name, cara_arena *arena,
                              cara_alignment_head **heads, size_t *n, cara_error *err) {
    const struct published *p = NULL;
    for (size_t i = 0; i < N_PUBLISHED && !p; i++)
        if (fits(dims, &published[i]) && strcmp(published[i].name, name) == 0)
            p = &published[i];
    int32_t first = dims->n_text_layer / 2, per_layer = dims->n_text_head;
    *n = p ? p->n_heads : (size_t)(dims->n_text_layer - first) * (size_t)per_layer;
    *heads = cara_arena_alloc(arena, *n, sizeof **heads);
    if (!*heads)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for the alignment heads");
    for (size_t i = 0; i < *n; i++)
        (*heads)[i] = p ? (cara_alignment_head){p->heads[i][0], p->heads[i][1]}
                        : (cara_alignment_head){first + (int32_t)(i / (size_t)per_layer),
                                                (int32_t)(i % (size_t)per_layer)};
    return CARA_OK;
}
