#include "store/store_backend.h"

#include <string.h>

static int is_digits(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return 0;
    return 1;
}

/* YYYY-MM-DD; months and days only as far as two digits go. */
static int is_day(const char *s, size_t n) {
    return n == 10 && is_digits(s, 4) && s[4] == '-' && is_digits(s + 5, 2) && s[7] == '-' &&
           is_digits(s + 8, 2);
}

int cara_store_key_is_valid(const char *key) {
    if (!key)
        return 0;
    size_t n = strnlen(key, CARA_STORE_KEY_MAX + 1);
    if (n > CARA_STORE_KEY_MAX)
        return 0;
    const char *slash = memchr(key, '/', n);
    if (!slash)
        return 0;
    size_t folder = (size_t)(slash - key);
    if (!is_day(key, folder) && !(folder == 10 && memcmp(key, "quarantine", 10) == 0))
        return 0;
    const char *name = slash + 1;
    if (!*name || *name == '.')
        return 0;
    for (; *name; name++) {
        char c = *name;
        int ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '.' || c == '_' || c == '=' || c == '-';
        if (!ok)
            return 0;
    }
    return 1;
}

static int check_key(const char *key, cara_error *err) {
    if (cara_store_key_is_valid(key))
        return CARA_OK;
    return cara_fail(
        err, CARA_ERR_USAGE, -1,
        "\"%.100s\" is no key: expected YYYY-MM-DD/NAME or quarantine/NAME, the name of "
        "letters, digits and ._=-",
        key ? key : "");
}

int cara_store_put(cara_store *store, const char *key, const void *bytes, size_t n, int if_absent,
                   cara_error *err) {
    int rc = check_key(key, err);
    return rc ? rc : store->ops->put(store, key, bytes, n, if_absent, err);
}

int cara_store_get(cara_store *store, const char *key, size_t limit, char **bytes, size_t *n,
                   cara_error *err) {
    *bytes = NULL;
    *n = 0;
    int rc = check_key(key, err);
    return rc ? rc : store->ops->get(store, key, limit, bytes, n, err);
}

int cara_store_claim_take(cara_store *store, const char *key, cara_store_claim **out,
                          cara_error *err) {
    *out = NULL;
    int rc = check_key(key, err);
    return rc ? rc : store->ops->claim_take(store, key, out, err);
}

int cara_store_claim_put(cara_store_claim *claim, const void *bytes, size_t n, cara_error *err) {
    return claim->store->ops->claim_put(claim, bytes, n, err);
}

int cara_store_claim_renew(cara_store_claim *claim, cara_error *err) {
    return claim->store->ops->claim_renew ? claim->store->ops->claim_renew(claim, err) : CARA_OK;
}

void cara_store_claim_release(cara_store_claim *claim) {
    if (claim)
        claim->store->ops->claim_release(claim);
}

void cara_store_close(cara_store *store) {
    if (store)
        store->ops->close(store);
}
