#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files/file.h"
#include "cli/transcribe/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER "file,start,end,text\r\n"
#define LIMIT ((size_t)1 << 20)

static char folder[] = "/tmp/caracola-table-XXXXXX", path[64];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/transcripts.csv", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails where a temporary was left behind */
}

static void put(const char *text) {
    assert_int_equal(cara_write_file_atomic(path, text, strlen(text), 0600, 1, NULL), CARA_OK);
}

static void assert_table(const char *expected) {
    char *text;
    size_t n;
    assert_int_equal(cara_read_file(path, LIMIT, &text, &n, NULL), CARA_OK);
    assert_string_equal(text, expected);
    free(text);
}

static cara_table *open_table(int expect_cut) {
    cara_table *table = NULL;
    cara_error err = {0};
    int cut;
    if (cara_table_open(folder, &table, &cut, &err))
        fail_msg("%s", err.text);
    assert_int_equal(cut, expect_cut);
    return table;
}

static void add(cara_table *table, const char *file, const char *text) {
    const cara_segment segment = {.start = 0.5, .end = 1.25, .text = text};
    const cara_result result = {
        .text = text, .segments = &segment, .n_segments = 1, .duration_s = 2};
    assert_int_equal(cara_table_add(table, file, &result, NULL), CARA_OK);
}

static void rows_are_added_and_replaced(void **state) {
    (void)state;
    unlink(path);
    cara_table *table = open_table(0);
    assert_table(HEADER);
    assert_false(cara_table_has(table, "a.ogg"));
    add(table, "a.ogg", "one");
    assert_table(HEADER "a.ogg,500,1250,one\r\n"); /* at once, not when it is closed */
    add(table, "b.ogg", "two");
    add(table, "a.ogg", "one"); /* given twice */
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
    assert_table(HEADER "a.ogg,500,1250,one\r\nb.ogg,500,1250,two\r\n");
    table = open_table(0);
    assert_true(cara_table_has(table, "a.ogg"));
    add(table, "a.ogg", "new");
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
    assert_table(HEADER "b.ogg,500,1250,two\r\na.ogg,500,1250,new\r\n");
    assert_int_equal(cara_table_close(NULL, NULL), CARA_OK);
}

/* Names as they may be, also those that a spreadsheet would take for a formula. */
static void names_are_found_again(void **state) {
    (void)state;
    static const char *const names[] = {"a,b.ogg",  "a\"b\".ogg", "\"",     "a\nb",
                                        "=1+1.ogg", "-",          "a\r\nb", "",
                                        "\xFF.ogg", "a\"\"",      "\"a\"",  "a,\"b\nc\",d"};
    enum { N = sizeof names / sizeof *names };
    unlink(path);
    cara_table *table = open_table(0);
    for (int i = 0; i < N; i++)
        add(table, names[i], "\"quoted\", and\nmore");
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
    table = open_table(0);
    for (int i = 0; i < N; i++)
        if (!cara_table_has(table, names[i]))
            fail_msg("%s is not found", names[i]);
    assert_false(cara_table_has(table, "a"));
    assert_false(cara_table_has(table, "b"));
    for (int i = 0; i < N; i++)
        if (i != 3)
            add(table, names[i], "x");
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
    char *text;
    size_t n, rows = 0;
    assert_int_equal(cara_read_file(path, LIMIT, &text, &n, NULL), CARA_OK);
    for (char *p = text; (p = strstr(p, ",500,1250,")); p++)
        rows++;
    assert_int_equal(rows, N); /* each once */
    /* The one that was not added again is the first. */
    static const char first[] = HEADER "\"a\nb\",500,1250,\"\"\"quoted\"\", and\nmore\"\r\n";
    assert_memory_equal(text, first, sizeof first - 1);
    free(text);
}

/* "canción" and "cancién" in Latin-1: two files, not one. */
static void names_of_older_encodings_stay_apart(void **state) {
    (void)state;
    unlink(path);
    cara_table *table = open_table(0);
    add(table, "canci\xF3n.ogg", "one");
    add(table, "canci\xE9n.ogg", "two");
    add(table, "\xC3\xB3.ogg", "three");
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
    assert_table(HEADER "canci\\xF3n.ogg,500,1250,one\r\n"
                        "canci\\xE9n.ogg,500,1250,two\r\n"
                        "\xC3\xB3.ogg,500,1250,three\r\n");
    table = open_table(0);
    assert_true(cara_table_has(table, "canci\xF3n.ogg"));
    assert_false(cara_table_has(table, "canci\xEDn.ogg"));
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
}

/* A spreadsheet writes a byte order mark and LF alone. */
static void tables_of_spreadsheets_are_tables(void **state) {
    (void)state;
    put("\xEF\xBB\xBF"
        "file,start,end,text\na.ogg,0,1,\"one, two\"\nb.ogg,0,1,\n");
    cara_table *table = open_table(0);
    assert_true(cara_table_has(table, "a.ogg"));
    assert_true(cara_table_has(table, "b.ogg"));
    add(table, "a.ogg", "new");
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
    assert_table("\xEF\xBB\xBF"
                 "file,start,end,text\nb.ogg,0,1,\na.ogg,500,1250,new\r\n");
}

static void other_files_are_left_alone(void **state) {
    (void)state;
    static const char *const others[] = {"name;start;end;text\r\n",
                                         "file,start,end\r\n",
                                         "x",
                                         HEADER "a.ogg,0,1,one,two\r\n",
                                         HEADER "a.ogg,0,1\r\n",
                                         "file,start,end,text",
                                         HEADER "\r\n"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cara_table *table;
        cara_error err;
        put(others[i]);
        assert_int_equal(cara_table_open(folder, &table, NULL, &err), CARA_ERR_USAGE);
        assert_null(table);
        assert_non_null(strstr(err.text, "is no table"));
        assert_table(others[i]);
    }
}

/* Wherever a table ends, its whole rows stay, and the file of the last ones counts as missing. */
static void a_table_that_is_cut_off_goes_on(void **state) {
    (void)state;
    static const char whole[] = HEADER "a.ogg,0,1,one\r\nb.ogg,0,1,\"two\"\r\nb.ogg,1,2,three\r\n";
    static const size_t ends[] = {36, 53, 70}; /* of its rows */
    for (size_t n = strlen(HEADER); n < sizeof whole - 1; n++) {
        char text[sizeof whole];
        memcpy(text, whole, n);
        text[n] = '\0';
        put(text);
        size_t kept = strlen(HEADER);
        for (size_t i = 0; i < 3 && ends[i] <= n; i++)
            kept = ends[i];
        cara_table *table = open_table(kept < n);
        text[kept] = '\0';
        assert_table(text);
        assert_int_equal(cara_table_has(table, "a.ogg"), kept > ends[0] || n == ends[0]);
        assert_int_equal(cara_table_has(table, "b.ogg"), n == ends[1]);
        add(table, "b.ogg", "new");
        assert_int_equal(cara_table_close(table, NULL), CARA_OK);
        assert_table(kept < ends[0] ? HEADER "b.ogg,500,1250,new\r\n"
                                    : HEADER "a.ogg,0,1,one\r\nb.ogg,500,1250,new\r\n");
    }
}

static void one_process_has_the_table(void **state) {
    (void)state;
    unlink(path);
    cara_table *table = open_table(0), *second;
    cara_error err;
    assert_int_equal(cara_table_open(folder, &second, NULL, &err), CARA_ERR_CONFLICT);
    assert_null(second);
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
    table = open_table(0);
    assert_int_equal(cara_table_close(table, NULL), CARA_OK);
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(cara_table_open(folder, &second, NULL, &err), CARA_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_added_and_replaced),
        cmocka_unit_test(names_are_found_again),
        cmocka_unit_test(names_of_older_encodings_stay_apart),
        cmocka_unit_test(tables_of_spreadsheets_are_tables),
        cmocka_unit_test(other_files_are_left_alone),
        cmocka_unit_test(a_table_that_is_cut_off_goes_on),
        cmocka_unit_test(one_process_has_the_table),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
