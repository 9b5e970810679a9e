/* docs/pipeline.md: its table of failures is the code's, for every stage and code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/failure.h"
#include "base/files/file.h"
#include "pipeline/service/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                       \
    "| stage | code | outcome | reported as | Lambda's error type |\n|---|---|---|---|---|\n"

enum { STAGE, CODE, OUTCOME, REPORTED, TYPE, CELLS };

static char *table, *end;

/* As the page names them. */
static const char *const stage_names[CARA_STAGES] = {
    [CARA_STAGE_EVENT] = "event",           [CARA_STAGE_MESSAGE] = "message",
    [CARA_STAGE_STORE] = "store",           [CARA_STAGE_MEDIA] = "media",
    [CARA_STAGE_CHECK] = "check",           [CARA_STAGE_MODEL] = "model",
    [CARA_STAGE_TRANSCRIBE] = "transcribe",
};

static int open_page(void **state) {
    char path[512];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/docs/pipeline.md", getenv("CARACOLA_SOURCE_DIR"));
    if (cara_read_file(path, 1 << 20, (char **)state, &n, NULL))
        return -1;
    table = strstr(*state, HEAD);
    if (!table)
        return -1;
    table += strlen(HEAD);
    end = strstr(table, "\n\n");
    return end ? 0 : -1;
}

static int close_page(void **state) {
    free(*state);
    return 0;
}

/* The cells of the row at `row`, without blanks around them. Returns the next row. */
static const char *read_row(const char *row, char cells[CELLS][128]) {
    assert_int_equal(*row, '|');
    for (int i = 0; i < CELLS; i++) {
        row += 1 + strspn(row + 1, " ");
        size_t n = strcspn(row, "|\n");
        assert_int_equal(row[n], '|');
        size_t len = n;
        while (len && row[len - 1] == ' ')
            len--;
        assert_true(len < sizeof cells[i]);
        memcpy(cells[i], row, len);
        cells[i][len] = 0;
        row += n;
    }
    assert_int_equal(row[1], '\n');
    return row + 2;
}

/* 1 where `list` is "any", or holds `name` between commas and blanks. */
static int names(const char *list, const char *name) {
    size_t n = strlen(name);
    if (strncmp(list, "any", 3) == 0)
        return 1;
    for (const char *p = list; *p; p += strcspn(p, ", "), p += strspn(p, ", "))
        if (strcspn(p, ", ") == n && strncmp(p, name, n) == 0)
            return 1;
    return 0;
}

/* As on the page: the first row that fits counts. */
static int find_row(const char *stage, const char *code, char cells[CELLS][128]) {
    for (const char *row = table; row < end;) {
        row = read_row(row, cells);
        if (names(cells[STAGE], stage) && names(cells[CODE], code))
            return 0;
    }
    return -1;
}

static void the_documented_table_equals_the_code(void **state) {
    char cells[CELLS][128], text[128];
    for (int stage = CARA_STAGE_EVENT; stage <= CARA_STAGE_TRANSCRIBE; stage++)
        for (int c = -1; c >= CARA_ERR_INTERNAL; c--) {
            cara_code code = (cara_code)c;
            const char *name = cara_code_name(code), *stage_name = stage_names[stage];
            if (strcmp(name, "internal") == 0 && code != CARA_ERR_INTERNAL)
                continue; /* no code */
            print_message("%s %s\n", stage_name, name);
            assert_int_equal(find_row(stage_name, name, cells), 0);
            cara_failure f = cara_failure_of((cara_stage)stage, code);
            snprintf(text, sizeof text, "%s%s", cara_outcome_name(f.outcome),
                     f.final ? ", final" : "");
            assert_string_equal(cells[OUTCOME], text);
            text[0] = 0;
            if (f.stage != (cara_stage)stage)
                snprintf(text, sizeof text, "stage %s", stage_names[f.stage]);
            else if (f.code != code)
                snprintf(text, sizeof text, "code %s", cara_code_name(f.code));
            assert_string_equal(cells[REPORTED], text);
            assert_string_equal(cells[TYPE], cara_service_error_type((cara_stage)stage, code));
        }
}

/* No row is empty, and each names only codes and stages that exist. */
static void table_rows_name_existing_codes(void **state) {
    char cells[CELLS][128];
    for (const char *row = table; row < end;) {
        row = read_row(row, cells);
        int stages = 0, codes = 0;
        for (int stage = CARA_STAGE_EVENT; stage <= CARA_STAGE_TRANSCRIBE; stage++)
            stages += names(cells[STAGE], stage_names[stage]);
        for (int c = -1; c >= CARA_ERR_INTERNAL; c--)
            if (strcmp(cara_code_name((cara_code)c), "internal") != 0 || c == CARA_ERR_INTERNAL)
                codes += names(cells[CODE], cara_code_name((cara_code)c));
        int listed = 1;
        for (const char *p = cells[CODE]; *p; p++)
            listed += *p == ',';
        assert_true(stages == 1 || strcmp(cells[STAGE], "any") == 0);
        assert_true(codes == listed || strcmp(cells[CODE], "any other") == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_table_equals_the_code),
        cmocka_unit_test(table_rows_name_existing_codes),
    };
    return cmocka_run_group_tests(tests, open_page, close_page);
}
