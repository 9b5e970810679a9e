#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/settings/config.h"
#include "fake_platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static char folder[] = "/tmp/caracola-config-XXXXXX";
static char config_path[64], credentials_path[64];

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(config_path, sizeof config_path, "%s/config", folder);
    snprintf(credentials_path, sizeof credentials_path, "%s/credentials", folder);
    return 0;
}

static int drop_folder(void **state) {
    (void)state;
    unlink(config_path);
    unlink(credentials_path);
    return rmdir(folder);
}

static fake_platform with_files(void) {
    return (fake_platform){.env = {{"AWS_CONFIG_FILE", config_path},
                                   {"AWS_SHARED_CREDENTIALS_FILE", credentials_path}}};
}

static void the_file_format(void **state) {
    (void)state;
    static const char text[] = "\xef\xbb\xbf# comment\n"
                               "; another\r\n"
                               "[default]\r\n"
                               "Region = us-east-1 # inline\r\n"
                               "endpoint_url=http://h:1/a#b\n"
                               "empty =\n"
                               "[profile   \"my team\"] ; comment\n"
                               "region\t=\teu-west-1\n"
                               "region = eu-west-2\n"
                               "s3 =\n"
                               "  addressing_style = path\n"
                               "\tendpoint_url = http://nested\n"
                               "long = one\n"
                               "  two continues and = is no key\n"
                               "last = x";
    cara_arena arena;
    cara_arena_init(&arena, 1 << 20);
    cara_ini ini = {0};
    cara_error err;
    assert_int_equal(cara_ini_parse("f", text, sizeof text - 1, &arena, &ini, &err), CARA_OK);
    assert_string_equal(cara_ini_find(&ini, "default", NULL, "region"), "us-east-1");
    assert_string_equal(cara_ini_find(&ini, "default", NULL, "endpoint_url"), "http://h:1/a#b");
    assert_string_equal(cara_ini_find(&ini, "default", NULL, "empty"), "");
    assert_string_equal(cara_ini_find(&ini, "profile my team", NULL, "region"), "eu-west-2");
    assert_string_equal(cara_ini_find(&ini, "profile my team", "s3", "endpoint_url"),
                        "http://nested");
    assert_null(cara_ini_find(&ini, "profile my team", NULL, "endpoint_url"));
    assert_string_equal(cara_ini_find(&ini, "profile my team", NULL, "long"), "one");
    assert_string_equal(cara_ini_find(&ini, "profile my team", NULL, "last"), "x");
    assert_true(cara_ini_has(&ini, "default"));
    assert_false(cara_ini_has(&ini, "Default"));
    cara_arena_free(&arena);
}

static void malformed_profile_files_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *words;
    } cases[] = {
        {"[default\nregion=x\n", 0, "line 1"},    {"[default]\nregion\n", 0, "line 2"},
        {"[default]\n\n= x\n", 0, "line 3"},      {"region = x\n", 0, "before the first"},
        {"[default]\nregion = \0x\n", 22, "NUL"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_ini ini = {0};
        cara_error err = {0};
        size_t n = cases[i].n ? cases[i].n : strlen(cases[i].text);
        assert_int_equal(cara_ini_parse("f", cases[i].text, n, &arena, &ini, &err), CARA_ERR_USAGE);
        if (!strstr(err.text, cases[i].words))
            fail_msg("%zu: %s", i, err.text);
        cara_arena_free(&arena);
    }
}

static void load(cara_aws_config *config, fake_platform *f) {
    cara_platform platform = fake_platform_of(f);
    cara_error err = {0};
    if (cara_aws_config_load(config, &platform, NULL, NULL, &err))
        fail_msg("%s", err.text);
}

static void settings_precedence(void **state) {
    (void)state;
    write_text(config_path, "[default]\nregion = eu-central-1\n"
                            "[profile default]\nregion = eu-west-3\nmax_attempts = 5\n"
                            "[profile dev]\nregion = sa-east-1\nuse_fips_endpoint = TRUE\n"
                            "ca_bundle = /ca.pem\n");
    write_text(credentials_path, "[dev]\nregion = us-west-1\n");
    fake_platform f = with_files();
    cara_aws_config config;
    load(&config, &f);
    assert_string_equal(config.profile, "default");
    assert_string_equal(config.region, "eu-west-3"); /* [profile default] before [default] */
    assert_int_equal(config.max_attempts, 5);
    cara_aws_config_free(&config);
    fake_set(&f, "AWS_PROFILE", "dev");
    load(&config, &f);
    assert_string_equal(config.region, "us-west-1"); /* the credentials file before the other */
    assert_int_equal(config.max_attempts, 3);
    assert_int_equal(config.fips, 1);
    assert_string_equal(config.ca_bundle, "/ca.pem");
    cara_aws_config_free(&config);
    fake_set(&f, "AWS_DEFAULT_REGION", "ap-south-1");
    fake_set(&f, "AWS_REGION", "");
    fake_set(&f, "AWS_USE_FIPS_ENDPOINT", "false");
    fake_set(&f, "AWS_MAX_ATTEMPTS", "1");
    load(&config, &f);
    assert_string_equal(config.region, "ap-south-1");
    assert_int_equal(config.fips, 0);
    assert_int_equal(config.max_attempts, 1);
    cara_aws_config_free(&config);
    fake_set(&f, "AWS_REGION", "ca-central-1");
    load(&config, &f);
    assert_string_equal(config.region, "ca-central-1");
    cara_aws_config_free(&config);
    cara_platform platform = fake_platform_of(&f);
    cara_error err;
    assert_int_equal(cara_aws_config_load(&config, &platform, "us-gov-west-1", "other", &err), 0);
    assert_string_equal(config.region, "us-gov-west-1");
    assert_string_equal(config.profile, "other");
    cara_aws_config_free(&config);
}

static void malformed_settings_are_refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"AWS_REGION", "US-EAST-1"},      {"AWS_REGION", "us-east-1/evil"},
        {"AWS_REGION", "evil.example"},   {"AWS_REGION", "-a"},
        {"AWS_MAX_ATTEMPTS", "0"},        {"AWS_MAX_ATTEMPTS", "many"},
        {"AWS_MAX_ATTEMPTS", "3 "},       {"AWS_CONFIG_FILE", "/proc/self/mem"},
        {"AWS_CONFIG_FILE", "/dev/zero"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        fake_platform f = {.now_ms = 0};
        fake_set(&f, bad[i][0], bad[i][1]);
        cara_platform platform = fake_platform_of(&f);
        cara_aws_config config;
        cara_error err = {0};
        if (cara_aws_config_load(&config, &platform, NULL, NULL, &err) == CARA_OK)
            fail_msg("%s=%s was taken", bad[i][0], bad[i][1]);
        assert_true(err.text[0]);
    }
    /* No files and no home are no error. */
    fake_platform f = {.now_ms = 0};
    cara_aws_config config;
    load(&config, &f);
    assert_null(config.region);
    cara_aws_config_free(&config);
}

static void endpoints(void **state) {
    (void)state;
    write_text(config_path, "[default]\nendpoint_url = http://all-file:1/\nservices = mine\n"
                            "[services mine]\ns3 =\n  endpoint_url = http://s3-file:2\n"
                            "[profile plain]\nregion=us-east-1\n");
    write_text(credentials_path, "");
    static const struct {
        const cara_aws_service *service;
        const char *env[4][2];
        const char *url; /* NULL: refused */
    } cases[] = {
        {&cara_service_s3, {{"AWS_PROFILE", "plain"}}, "https://s3.us-east-1.amazonaws.com"},
        {&cara_service_social,
         {{"AWS_PROFILE", "plain"}},
         "https://social-messaging.us-east-1.amazonaws.com"},
        {&cara_service_s3,
         {{"AWS_PROFILE", "plain"}, {"AWS_REGION", "cn-north-1"}},
         "https://s3.cn-north-1.amazonaws.com.cn"},
        {&cara_service_sqs,
         {{"AWS_PROFILE", "plain"}, {"AWS_REGION", "us-gov-west-1"}},
         "https://sqs.us-gov-west-1.amazonaws.com"},
        {&cara_service_s3,
         {{"AWS_PROFILE", "plain"}, {"AWS_USE_DUALSTACK_ENDPOINT", "true"}},
         "https://s3.dualstack.us-east-1.amazonaws.com"},
        {&cara_service_s3,
         {{"AWS_PROFILE", "plain"},
          {"AWS_USE_DUALSTACK_ENDPOINT", "true"},
          {"AWS_USE_FIPS_ENDPOINT", "true"}},
         "https://s3-fips.dualstack.us-east-1.amazonaws.com"},
        {&cara_service_social,
         {{"AWS_PROFILE", "plain"}, {"AWS_USE_FIPS_ENDPOINT", "true"}},
         "https://social-messaging-fips.us-east-1.amazonaws.com"},
        {&cara_service_social,
         {{"AWS_PROFILE", "plain"}, {"AWS_USE_DUALSTACK_ENDPOINT", "true"}},
         "https://social-messaging.us-east-1.api.aws"},
        {&cara_service_sns,
         {{"AWS_PROFILE", "plain"},
          {"AWS_USE_DUALSTACK_ENDPOINT", "true"},
          {"AWS_REGION", "cn-north-1"}},
         "https://sns.cn-north-1.api.amazonwebservices.com.cn"},
        {&cara_service_s3, {{"AWS_REGION", "us-east-1"}}, "http://s3-file:2"},
        {&cara_service_sqs, {{"AWS_REGION", "us-east-1"}}, "http://all-file:1"},
        {&cara_service_s3, {{"AWS_ENDPOINT_URL", "http://all:3"}}, "http://all:3"},
        {&cara_service_s3,
         {{"AWS_ENDPOINT_URL", "http://all:3"}, {"AWS_ENDPOINT_URL_S3", "https://s3:4/x//"}},
         "https://s3:4/x"},
        {&cara_service_social,
         {{"AWS_ENDPOINT_URL_SOCIALMESSAGING", "http://social:5"}},
         "http://social:5"},
        {&cara_service_s3,
         {{"AWS_ENDPOINT_URL_S3", "http://s3:4"},
          {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"},
          {"AWS_REGION", "eu-west-1"}},
         "https://s3.eu-west-1.amazonaws.com"},
        {&cara_service_s3, {{"AWS_ENDPOINT_URL_S3", "s3.example"}}, NULL},
        {&cara_service_s3, {{"AWS_ENDPOINT_URL_S3", "http://u:p@host"}}, NULL},
        {&cara_service_s3, {{"AWS_ENDPOINT_URL_S3", "http://host/?x"}}, NULL},
        {&cara_service_s3, {{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}}, NULL}, /* no Region */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fake_platform f = with_files();
        for (size_t j = 0; j < 4 && cases[i].env[j][0]; j++)
            fake_set(&f, cases[i].env[j][0], cases[i].env[j][1]);
        cara_aws_config config;
        load(&config, &f);
        cara_buf url;
        cara_buf_init(&url, 1000);
        cara_error err = {0};
        int custom;
        int rc = cara_aws_endpoint(&config, cases[i].service, NULL, &url, &custom, &err);
        if (cases[i].url ? rc || strcmp(url.data, cases[i].url) != 0 : rc != CARA_ERR_USAGE)
            fail_msg("%zu: %s %s", i, url.data ? url.data : "", err.text);
        if (cases[i].url)
            assert_int_equal(custom, strstr(cases[i].url, "amazon") == NULL &&
                                         strstr(cases[i].url, "api.aws") == NULL);
        cara_buf_free(&url);
        cara_aws_config_free(&config);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_format),
        cmocka_unit_test(malformed_profile_files_are_refused),
        cmocka_unit_test(settings_precedence),
        cmocka_unit_test(malformed_settings_are_refused),
        cmocka_unit_test(endpoints),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
