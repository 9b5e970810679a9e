#include "tokenizer/bpe.h"

#include <stdlib.h>

/* A part of the piece; parts are a linked list over the index of their first byte. */
typedef struct part {
    uint32_t end; /* one past its last byte: the index of the next part; 0 once it is merged away */
    uint32_t prev; /* index of the part before; UINT32_MAX for the first */
} part;

/* A merge that was possible when it was put on the heap; stale once either part has changed. */
typedef struct merge {
    int32_t rank;
    uint32_t left, middle, end; /* the parts [left, middle) and [middle, end) */
} merge;

typedef struct heap {
    merge *items;
    size_t n;
} heap;

static int is_before(const merge *a, const merge *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void push(heap *h, merge m) {
    size_t at = h->n++;
    for (; at; at = (at - 1) / 2) {
        size_t up = (at - 1) / 2;
        if (!is_before(&m, &h->items[up]))
            break;
        h->items[at] = h->items[up];
    }
    h->items[at] = m;
}

static merge pop(heap *h) {
    merge top = h->items[0];
    merge last = h->items[--h->n];
    size_t at = 0;
    for (;;) {
        size_t down = 2 * at + 1;
        if (down >= h->n)
            break;
        if (down + 1 < h->n && is_before(&h->items[down + 1], &h->items[down]))
            down++;
        if (!is_before(&h->items[down], &last))
            break;
        h->items[at] = h->items[down];
        at = down;
    }
    h->items[at] = last;
    return top;
}

static void push_merge(const cara_vocab *vocab, const uint8_t *piece, uint32_t left,
                       uint32_t middle, uint32_t end, heap *h) {
    int32_t rank = cara_vocab_rank(vocab, piece + left, end - left);
    if (rank >= 0)
        push(h, (merge){rank, left, middle, end});
}

int cara_bpe_piece(const cara_vocab *vocab, const uint8_t *piece, size_t n, int32_t *ids,
                   size_t *n_ids) {
    *n_ids = 0;
    int32_t whole = cara_vocab_rank(vocab, piece, n);
    if (whole >= 0) {
        ids[(*n_ids)++] = whole;
        return 0;
    }
    if (n >= UINT32_MAX / 4)
        return -1;
    part *parts = malloc(n * sizeof *parts);
    /* n - 1 pairs at first, and at most two more for each of the n - 1 merges. */
    heap h = {malloc(3 * n * sizeof *h.items), 0};
    if (!parts || !h.items) {
        free(parts);
        free(h.items);
        return -1;
    }
    for (uint32_t i = 0; i < n; i++)
        parts[i] = (part){i + 1, i ? i - 1 : UINT32_MAX};
    for (uint32_t i = 0; i + 1 < n; i++)
        push_merge(vocab, piece, i, i + 1, i + 2, &h);
    while (h.n) {
        merge m = pop(&h);
        if (parts[m.left].end != m.middle || parts[m.middle].end != m.end)
            continue;
        parts[m.left].end = m.end;
        parts[m.middle].end = 0;
        if (m.end < n) {
            parts[m.end].prev = m.left;
            push_merge(vocab, piece, m.left, m.end, parts[m.end].end, &h);
        }
        if (parts[m.left].prev != UINT32_MAX)
            push_merge(vocab, piece, parts[m.left].prev, m.left, m.end, &h);
    }
    for (uint32_t i = 0; i < n; i = parts[i].end)
        ids[(*n_ids)++] = cara_vocab_rank(vocab, piece + i, parts[i].end - i);
    free(parts);
    free(h.items);
    return 0;
}
