#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/settings/zone.h"
#include "pipeline/record/key.h"

#include <stdlib.h>
#include <string.h>

static void zones(void **state) {
    char key[CARA_KEY_SIZE];
    struct tm tm;
    cara_error err = {0};
    if (setenv("TZ", "America/Mazatlan", 1))
        fail();
    assert_int_equal(cara_zone_set(NULL, "--timezone", &err), CARA_OK);
    assert_int_equal(cara_key_message("wamid.X", "1", 1760490612, cara_zone_local_time, key), 0);
    assert_string_equal(key, "2025-10-14/1-18-10-12-5Ib-xlnmnDA.json");
    assert_int_equal(cara_zone_set(":Europe/Madrid", "--timezone", &err),
                     CARA_OK); /* summer time */
    assert_int_equal(cara_zone_local_time(1760490612, &tm), 0);
    assert_int_equal(tm.tm_hour, 3);
    assert_int_equal(cara_zone_set("Asia/Kathmandu", "--timezone", &err), CARA_OK);
    assert_int_equal(cara_zone_local_time(1760490612, &tm), 0);
    assert_int_equal(tm.tm_min, 55);
    static const char *const utc[] = {"UTC", "", ":UTC", "Etc/UTC", "GMT"};
    for (size_t i = 0; i < sizeof utc / sizeof *utc; i++) {
        assert_int_equal(cara_zone_set(utc[i], "--timezone", &err), CARA_OK);
        assert_int_equal(cara_zone_local_time(1760490612, &tm), 0);
        assert_int_equal(tm.tm_hour, 1);
    }
    static const char *const bad[] = {"Marte/Olympus",
                                      "America/",
                                      "../../../etc/passwd",
                                      "/etc/localtime",
                                      "America/Mazatlan\n",
                                      "tzdata.zi",
                                      "America",
                                      "+",
                                      "nonsense"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(cara_zone_set(bad[i], "--timezone", &err), CARA_ERR_USAGE);
        assert_non_null(strstr(err.text, "--timezone"));
    }
    setenv("TZ", "Nowhere/Town", 1);
    assert_int_equal(cara_zone_set(NULL, "--timezone", &err), CARA_ERR_USAGE);
    assert_non_null(strstr(err.text, "TZ takes"));
    unsetenv("TZ");
    assert_int_equal(cara_zone_set(NULL, "--timezone", &err), CARA_OK);
    assert_int_equal(cara_zone_local_time(1760490612, &tm), 0);
    assert_int_equal(tm.tm_hour, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
