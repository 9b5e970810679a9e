/* Memory that fails at the n-th allocation, for tests that are linked with --wrap=malloc and
 * similar options (see meson.build). For one source file of a program.
 *
 * Kind 1: our own allocations, jansson's and expat's. Only inside json_loadb() none fails: jansson
 * 2.14 ignores there what its buffer says (lex_save), and goes on to an assertion or past the end
 * of a string. Kind 2: libcurl's and libcrypto's. */
#ifndef FAILING_MEMORY_H
#define FAILING_MEMORY_H

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void __real_free(void *p);
json_t *__real_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);

/* Of the thread that runs the scenario; the server's threads have memory. */
static _Thread_local struct {
    int armed;  /* the kind that fails; ours are counted with either */
    long until; /* the allocation that fails */
    long seen;
    long live;  /* ours */
    int spared; /* nothing fails */
} memory;

static inline int fails(int kind) {
    return memory.armed == kind && !memory.spared && ++memory.seen == memory.until;
}

static inline void *counted(void *p) {
    memory.live += p && memory.armed;
    return p;
}

void *__wrap_malloc(size_t n) {
    return fails(1) ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t count, size_t n) {
    return fails(1) ? NULL : counted(__real_calloc(count, n));
}

void *__wrap_realloc(void *p, size_t n) {
    if (fails(1))
        return NULL;
    return p ? __real_realloc(p, n) : counted(__real_realloc(NULL, n));
}

void *__wrap_aligned_alloc(size_t align, size_t n) {
    return fails(1) ? NULL : counted(__real_aligned_alloc(align, n));
}

char *__wrap_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = __wrap_malloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

void __wrap_free(void *p) {
    memory.live -= p && memory.armed;
    __real_free(p);
}

json_t *__wrap_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error) {
    memory.spared++;
    json_t *root = __real_json_loadb(text, n, flags, error);
    memory.spared--;
    return root;
}

static inline void *lib_malloc(size_t n) {
    return fails(2) ? NULL : __real_malloc(n);
}

static inline void *lib_realloc(void *p, size_t n) {
    return fails(2) ? NULL : __real_realloc(p, n);
}

static inline void *lib_calloc(size_t count, size_t n) {
    return fails(2) ? NULL : __real_calloc(count, n);
}

static inline char *lib_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = lib_malloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

static inline void *ssl_malloc(size_t n, const char *file, int line) {
    return lib_malloc(n);
}

static inline void *ssl_realloc(void *p, size_t n, const char *file, int line) {
    return lib_realloc(p, n);
}

static inline void ssl_free(void *p, const char *file, int line) {
    __real_free(p);
}

/* Before anything else in main(). */
static inline int failing_memory_init(void) {
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    return CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1 ||
           curl_global_init_mem(CURL_GLOBAL_DEFAULT, lib_malloc, __real_free, lib_realloc,
                                lib_strdup, lib_calloc) != CURLE_OK;
}

static inline void failing_memory_arm(int kind, long until) {
    memory.armed = kind;
    memory.until = until;
    memory.seen = memory.live = 0;
}

/* 1 where the allocation that was to fail was reached. */
static inline int failing_memory_disarm(void) {
    memory.armed = 0;
    return memory.seen >= memory.until;
}

#endif
