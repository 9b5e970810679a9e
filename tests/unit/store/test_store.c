/* flock() is not POSIX. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory/buf.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEY "2025-10-15/525550100150-01-10-12-v0_7DB1kZmz.json"

static char root[64]; /* a fresh folder for each test */

static int make_root(void **state) {
    snprintf(root, sizeof root, "/tmp/caracola-store-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

/* Visits `root/folder/name` for every file; folders two levels down only. */
static size_t each_file(void (*visit)(const char *key), int remove_them) {
    size_t n = 0;
    DIR *top = opendir(root);
    for (struct dirent *day; top && (day = readdir(top));) {
        if (day->d_name[0] == '.')
            continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/%.200s", root, day->d_name);
        DIR *list = opendir(path);
        for (struct dirent *file; list && (file = readdir(list));) {
            if (file->d_name[0] == '.')
                continue;
            char key[600], full[1200];
            snprintf(key, sizeof key, "%.200s/%.255s", day->d_name, file->d_name);
            snprintf(full, sizeof full, "%s/%s", root, key);
            n++;
            if (visit)
                visit(key);
            if (remove_them)
                unlink(full);
        }
        if (list)
            closedir(list);
        if (remove_them)
            rmdir(path);
    }
    if (top)
        closedir(top);
    return n;
}

static int remove_root(void **state) {
    each_file(NULL, 1);
    return rmdir(root);
}

static void assert_legal(const char *key) {
    if (!cara_store_key_is_valid(key))
        fail_msg("illegal path %s", key);
}

static cara_store *open_store(void) {
    cara_store *store = NULL;
    cara_error err = {0};
    if (cara_store_open_folder(root, &store, &err))
        fail_msg("%s", err.text);
    return store;
}

static void assert_holds(cara_store *store, const char *key, const char *text) {
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(cara_store_get(store, key, 1 << 20, &bytes, &n, NULL), CARA_OK);
    assert_int_equal(n, strlen(text));
    assert_string_equal(bytes, text);
    free(bytes);
}

static void keys(void **state) {
    static const char *const good[] = {KEY, "quarantine/abc.json", "2025-10-15/a",
                                       "2025-10-15/1908.ogg.123-4.tmp", "2025-10-15/A=_.-"};
    static const char *const bad[] = {
        "",
        "x",
        "2025-10-15",
        "2025-10-15/",
        "2025-10-15/.",
        "2025-10-15/..",
        "2025-10-15/.hidden",
        "2025-10-15/a/b",
        "/2025-10-15/a",
        "../2025-10-15/a",
        "2025-10-15/../a",
        "2025-1-15/a",
        "2025-10-15a/a",
        "20a5-10-15/a",
        "quarantines/a",
        "Quarantine/a",
        "2025-10-15/a b",
        "2025-10-15/a+b",
        "2025-10-15/a%2fb",
        "2025-10-15/a\n",
        "2025-10-15/\xC3\xB1",
        "2025-10-15\\a",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(cara_store_key_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(cara_store_key_is_valid(bad[i]));
    assert_false(cara_store_key_is_valid(NULL));
    char longest[CARA_STORE_KEY_MAX + 2] = "quarantine/";
    memset(longest + 11, 'a', sizeof longest - 12);
    assert_false(cara_store_key_is_valid(longest));
    longest[CARA_STORE_KEY_MAX] = 0;
    assert_true(cara_store_key_is_valid(longest));
}

static void invalid_keys_are_refused_before_any_io(void **state) {
    cara_store *store = open_store();
    char *bytes = NULL;
    size_t n = 0;
    cara_store_claim *claim = NULL;
    cara_error err = {0};
    assert_int_equal(cara_store_put(store, "../evil", "x", 1, 0, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_store_get(store, "2025-10-15/../../etc", 10, &bytes, &n, &err),
                     CARA_ERR_USAGE);
    assert_int_equal(cara_store_get(store, "/etc/passwd", 10, &bytes, &n, &err), CARA_ERR_USAGE);
    assert_int_equal(cara_store_claim_take(store, "..", &claim, &err), CARA_ERR_USAGE);
    assert_null(claim);
    assert_int_equal(each_file(NULL, 0), 0);
    cara_store_close(store);
}

static void put_get_and_conditional_put(void **state) {
    cara_store *store = open_store();
    cara_error err = {0};
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(cara_store_get(store, KEY, 10, &bytes, &n, &err), CARA_ERR_NOT_FOUND);
    assert_int_equal(cara_store_put(store, KEY, "one", 3, 1, &err), CARA_OK);
    assert_int_equal(cara_store_put(store, KEY, "two", 3, 1, &err), CARA_ERR_CONFLICT);
    assert_holds(store, KEY, "one");
    assert_int_equal(cara_store_put(store, KEY, "three", 5, 0, &err), CARA_OK);
    assert_holds(store, KEY, "three");
    assert_int_equal(cara_store_get(store, KEY, 4, &bytes, &n, &err), CARA_ERR_LIMIT);
    assert_int_equal(cara_store_put(store, "quarantine/empty", NULL, 0, 1, &err), CARA_OK);
    assert_holds(store, "quarantine/empty", "");
    assert_int_equal(each_file(assert_legal, 0), 2); /* no temporary is left */
    char path[200];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", root, KEY);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0); /* only the owner may read voices */
    cara_store_close(store);
}

static void s3_errors_become_store_errors(void **state) {
    cara_store *store = NULL;
    cara_error err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/2025-10-16", root);
    int fd = open(path, O_WRONLY | O_CREAT, 0600); /* a file where the day's folder should be */
    assert_true(fd >= 0);
    close(fd);
    assert_int_not_equal(cara_store_open_folder(path, &store, &err), CARA_OK);
    assert_null(store);
    snprintf(path, sizeof path, "%s/2025-10-16/below", root);
    assert_int_not_equal(cara_store_open_folder(path, &store, &err), CARA_OK);
    assert_null(store);
    snprintf(path, sizeof path, "%s/2025-10-16", root);
    store = open_store();
    assert_int_equal(cara_store_put(store, "2025-10-16/a", "x", 1, 1, &err), CARA_ERR_STORE);
    assert_non_null(strstr(err.text, "2025-10-16"));
    cara_store_close(store);
    unlink(path);
}

/* Of writers at once exactly one wins, and the object is whole. */
static void one_of_many_concurrent_writers_wins(void **state) {
    for (int round = 0; round < 20; round++) {
        char key[64];
        snprintf(key, sizeof key, "2025-10-15/round-%d", round);
        int go[2];
        assert_int_equal(pipe(go), 0);
        pid_t children[4];
        for (int i = 0; i < 4; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] == 0) {
                char wait_for, text[3000];
                memset(text, 'a' + i, sizeof text);
                cara_store *store = NULL;
                close(go[1]);
                if (cara_store_open_folder(root, &store, NULL) || read(go[0], &wait_for, 1) != 0)
                    _exit(9);
                int rc = cara_store_put(store, key, text, sizeof text, 1, NULL);
                cara_store_close(store);
                _exit(rc == CARA_OK ? 0 : rc == CARA_ERR_CONFLICT ? 1 : 9);
            }
        }
        close(go[0]);
        close(go[1]);
        int wins = 0, winner = -1;
        for (int i = 0; i < 4; i++) {
            int status = 0;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
            if (WEXITSTATUS(status) == 0) {
                wins++;
                winner = i;
            }
        }
        assert_int_equal(wins, 1);
        cara_store *store = open_store();
        char *bytes = NULL;
        size_t n = 0;
        assert_int_equal(cara_store_get(store, key, 4000, &bytes, &n, NULL), CARA_OK);
        assert_int_equal(n, 3000);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], 'a' + winner);
        free(bytes);
        cara_store_close(store);
    }
    assert_int_equal(each_file(assert_legal, 0), 20);
}

/* Killed while writing: objects are valid and whole, and the next writer removes temporary
 * files. */
static void killed_writers_leave_whole_objects(void **state) {
    unsigned seed = 7;
    for (int round = 0; round < 30; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            cara_store *store = NULL;
            static char text[200000];
            memset(text, 'x', sizeof text);
            if (cara_store_open_folder(root, &store, NULL))
                _exit(9);
            for (int i = 0;; i++) {
                char key[64];
                snprintf(key, sizeof key, "2025-10-15/%d-%d", round, i % 50);
                (void)cara_store_put(store, key, text, sizeof text, i % 2, NULL);
            }
        }
        seed = seed * 1103515245u + 12345u;
        struct timespec wait_for = {0, 500000 + (long)(seed >> 16) % 15000000};
        nanosleep(&wait_for, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        each_file(assert_legal, 0);
    }
    cara_store *store = open_store();
    assert_int_equal(cara_store_put(store, "2025-10-15/last", "x", 1, 1, NULL), CARA_OK);
    char path[128];
    snprintf(path, sizeof path, "%s/2025-10-15", root);
    DIR *list = opendir(path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        if (entry->d_name[0] == '.')
            continue;
        struct stat st;
        assert_null(strstr(entry->d_name, ".tmp"));
        assert_int_equal(fstatat(dirfd(list), entry->d_name, &st, 0), 0);
        assert_true(st.st_size == 200000 || strcmp(entry->d_name, "last") == 0);
    }
    closedir(list);
    cara_store_close(store);
}

/* A temporary whose writer lives is not swept. */
static void temporary_files_of_running_writers_are_kept(void **state) {
    cara_store *store = open_store();
    assert_int_equal(cara_store_put(store, "2025-10-15/first", "x", 1, 1, NULL), CARA_OK);
    cara_store_close(store);
    char path[128], stale[160], living[160];
    snprintf(path, sizeof path, "%s/2025-10-15", root);
    snprintf(stale, sizeof stale, "%s/note.json.1-2.tmp", path);
    snprintf(living, sizeof living, "%s/note.json.1-3.tmp", path);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    close(open(stale, O_WRONLY | O_CREAT, 0600));
    pid_t child = fork();
    if (child == 0) {
        int fd = open(living, O_WRONLY | O_CREAT, 0600);
        if (write(ready[1], flock(fd, LOCK_EX) == 0 ? "1" : "0", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, '1');
    store = open_store();
    assert_int_equal(cara_store_put(store, "2025-10-15/second", "x", 1, 1, NULL), CARA_OK);
    assert_int_not_equal(access(stale, F_OK), 0);
    assert_int_equal(access(living, F_OK), 0);
    cara_store_close(store);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    store = open_store();
    assert_int_equal(cara_store_put(store, "2025-10-15/third", "x", 1, 1, NULL), CARA_OK);
    assert_int_not_equal(access(living, F_OK), 0);
    cara_store_close(store);
}

/* Two processes that add one to the same object under a claim, a hundred times each. */
static void claims_exclude_each_other(void **state) {
    cara_store *store = open_store();
    cara_store_claim *claim = NULL;
    assert_int_equal(cara_store_claim_take(store, KEY, &claim, NULL), CARA_ERR_NOT_FOUND);
    assert_int_equal(cara_store_put(store, KEY, "0", 1, 1, NULL), CARA_OK);
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            cara_store *mine = NULL;
            if (cara_store_open_folder(root, &mine, NULL))
                _exit(9);
            for (int k = 0; k < 50; k++) {
                char *bytes = NULL, text[32];
                size_t n = 0;
                if (cara_store_claim_take(mine, KEY, &claim, NULL))
                    _exit(8);
                for (int twice = 0; twice < 2; twice++) { /* the claim outlives a put */
                    if (cara_store_get(mine, KEY, 100, &bytes, &n, NULL))
                        _exit(7);
                    snprintf(text, sizeof text, "%ld", strtol(bytes, NULL, 10) + 1);
                    free(bytes);
                    if (cara_store_claim_put(claim, text, strlen(text), NULL))
                        _exit(6);
                }
                cara_store_claim_release(claim);
            }
            cara_store_close(mine);
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_holds(store, KEY, "300");
    assert_int_equal(each_file(assert_legal, 0), 1);
    /* It was replaced without a claim: the claim is lost, and says so. */
    assert_int_equal(cara_store_claim_take(store, KEY, &claim, NULL), CARA_OK);
    assert_int_equal(cara_store_put(store, KEY, "x", 1, 0, NULL), CARA_OK);
    assert_int_equal(cara_store_claim_put(claim, "y", 1, NULL), CARA_ERR_CONFLICT);
    cara_store_claim_release(claim);
    cara_store_claim_release(NULL);
    assert_holds(store, KEY, "x");
    cara_store_close(store);
    cara_store_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test_setup_teardown(invalid_keys_are_refused_before_any_io, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(put_get_and_conditional_put, make_root, remove_root),
        cmocka_unit_test_setup_teardown(s3_errors_become_store_errors, make_root, remove_root),
        cmocka_unit_test_setup_teardown(one_of_many_concurrent_writers_wins, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(killed_writers_leave_whole_objects, make_root, remove_root),
        cmocka_unit_test_setup_teardown(temporary_files_of_running_writers_are_kept, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(claims_exclude_each_other, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
