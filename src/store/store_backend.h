/* What a backend of the store implements. Keys are checked before these are called; store.h says
 * what each does. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "store/store.h"

typedef struct cara_store_ops {
    int (*put)(cara_store *store, const char *key, const void *bytes, size_t n, int if_absent,
               cara_error *err);
    int (*get)(cara_store *store, const char *key, size_t limit, char **bytes, size_t *n,
               cara_error *err);
    int (*claim_take)(cara_store *store, const char *key, cara_store_claim **out, cara_error *err);
    int (*claim_put)(cara_store_claim *claim, const void *bytes, size_t n, cara_error *err);
    int (*claim_renew)(cara_store_claim *claim, cara_error *err); /* NULL: claims do not end */
    void (*claim_release)(cara_store_claim *claim);
    void (*close)(cara_store *store);
} cara_store_ops;

/* First member of every backend's own struct. */
struct cara_store {
    const cara_store_ops *ops;
};

struct cara_store_claim {
    cara_store *store;
};

#endif
