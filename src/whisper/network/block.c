#include "whisper/network/block.h"

#include <stdio.h>

int cara_block_init(cara_block *b, const cara_layer_table *table, const void *layer, size_t index,
                    cara_arena *arena, cara_error *err) {
    char name[96];
    int code = CARA_OK;
    b->table = table;
    for (size_t i = 0; i < table->n && !code; i++) {
        const cara_layer_member *m = &table->members[i];
        snprintf(name, sizeof name, "%s.%zu.%s", table->prefix, index, m->name);
        if (m->kind == CARA_MEMBER_NORM)
            code = cara_norm_init(&b->member[m->role].norm, cara_member_norm_const(layer, m), name,
                                  arena, err);
        else
            code = cara_dense_init(&b->member[m->role].dense, cara_member_linear_const(layer, m),
                                   name, arena, err);
    }
    return code;
}

void cara_block_load(cara_block *b, const cara_compute *compute) {
    for (size_t i = 0; i < b->table->n; i++) {
        const cara_layer_member *m = &b->table->members[i];
        if (m->kind == CARA_MEMBER_NORM)
            cara_norm_load(&b->member[m->role].norm, compute);
        else
            cara_dense_load(&b->member[m->role].dense, compute);
    }
}

size_t cara_block_count(const cara_block *b, int is_i8) {
    size_t n = 0;
    for (size_t i = 0; i < b->table->n; i++) {
        const cara_layer_member *m = &b->table->members[i];
        n += m->kind == CARA_MEMBER_LINEAR && cara_dense_is_i8(&b->member[m->role].dense) == is_i8;
    }
    return n;
}
