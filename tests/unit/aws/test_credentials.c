/* Every place where credentials can be, over real HTTP on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/credentials/agents.h"
#include "aws/credentials/find.h"
#include "fake_platform.h"
#include "test_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static char folder[] = "/tmp/caracola-credentials-XXXXXX";
static char config_path[64], credentials_path[64], token_path[64];

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

typedef struct fixture {
    fake_platform platform;
    const char *profile; /* that the caller names, or NULL */
    cara_aws_config config;
    cara_http *http;
    cara_credentials credentials;
    cara_error err;
    int rc;
} fixture;

/* Runs one search with the variables of `f->outside`. */
static void find(fixture *f) {
    fake_set(&f->platform, "AWS_CONFIG_FILE", config_path);
    fake_set(&f->platform, "AWS_SHARED_CREDENTIALS_FILE", credentials_path);
    f->platform.now_ms = FAKE_NOW;
    cara_platform platform = fake_platform_of(&f->platform);
    memset(&f->err, 0, sizeof f->err);
    f->rc = cara_aws_config_load(&f->config, &platform, NULL, f->profile, &f->err);
    if (f->rc)
        fail_msg("%s", f->err.text);
    assert_int_equal(cara_http_new(NULL, &f->http, &f->err), CARA_OK);
    cara_exchange exchange = {.http = f->http, .platform = &f->config.platform};
    const cara_credentials_search search = {.config = &f->config, .exchange = &exchange};
    f->rc = cara_credentials_find(&search, &f->credentials, &f->err);
}

static void done(fixture *f) {
    cara_credentials_free(&f->credentials);
    cara_http_free(f->http);
    cara_aws_config_free(&f->config);
}

static void found(fixture *f, const char *access, const char *secret, const char *token,
                  const char *source) {
    find(f);
    if (f->rc)
        fail_msg("%s", f->err.text);
    assert_string_equal(f->credentials.access_key, access);
    assert_string_equal(f->credentials.secret_key, secret);
    if (token)
        assert_string_equal(f->credentials.session_token, token);
    else
        assert_null(f->credentials.session_token);
    assert_string_equal(f->credentials.source, source);
}

static void refused(fixture *f, int code, const char *words) {
    find(f);
    if (f->rc != code || !strstr(f->err.text, words))
        fail_msg("code %d, \"%s\"; expected %d, \"%s\"", f->rc, f->err.text, code, words);
    assert_null(f->credentials.access_key);
}

static void files(const char *config, const char *credentials) {
    write_text(config_path, config);
    write_text(credentials_path, credentials);
}

static void credentials_from_variables(void **state) {
    (void)state;
    files("", "[default]\naws_access_key_id=FILE\naws_secret_access_key=f\n");
    fixture f = {.platform.env = {{"AWS_ACCESS_KEY_ID", "AKIDENV"},
                                  {"AWS_SECRET_ACCESS_KEY", "secret"},
                                  {"AWS_SESSION_TOKEN", "token"},
                                  {"AWS_PROFILE", "unknown"}}};
    found(&f, "AKIDENV", "secret", "token", "environment");
    assert_int_equal(f.credentials.expires_ms, 0);
    done(&f);
    /* A profile that the caller names wins over them. */
    fixture named = {
        .profile = "default",
        .platform.env = {{"AWS_ACCESS_KEY_ID", "AKIDENV"}, {"AWS_SECRET_ACCESS_KEY", "secret"}}};
    found(&named, "FILE", "f", NULL, "profile");
    done(&named);
    fixture half = {.platform.env = {{"AWS_ACCESS_KEY_ID", "AKIDENV"}}};
    refused(&half, CARA_ERR_DENIED, "AWS_SECRET_ACCESS_KEY is not");
    done(&half);
}

static void credentials_from_profiles(void **state) {
    (void)state;
    files("[profile dev]\naws_access_key_id=CFG\naws_secret_access_key=c\n"
          "[profile both]\naws_access_key_id=CFG2\naws_secret_access_key=c2\n"
          "[profile half]\naws_access_key_id=CFG3\n"
          "[profile sso]\nsso_session=x\n[profile process]\ncredential_process=/bin/false\n"
          "[profile mfa]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=dev\nmfa_serial=s\n"
          "[profile circle]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=circle2\n"
          "[profile circle2]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=circle\n"
          "[profile nosource]\nrole_arn=arn:aws:iam::1:role/r\n"
          "[profile lost]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=nowhere\n"
          "[profile strange]\nrole_arn=arn:aws:iam::1:role/r\ncredential_source=Moon\n"
          "[profile self]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=self\n",
          "[default]\naws_access_key_id = FILE\naws_secret_access_key = f\n"
          "[both]\naws_access_key_id = CRED\naws_secret_access_key = d\naws_session_token = t\n");
    static const struct {
        const char *profile, *access, *secret, *token; /* found, or */
        const char *words;                             /* refused */
    } cases[] = {
        {NULL, "FILE", "f", NULL, NULL},
        {"dev", "CFG", "c", NULL, NULL},
        {"both", "CRED", "d", "t", NULL},
        {.profile = "half", .words = "but not the other"},
        {.profile = "unknown", .words = "in neither"},
        {.profile = "sso", .words = "export-credentials --profile sso"},
        {.profile = "process", .words = "credential_process"},
        {.profile = "mfa", .words = "MFA"},
        {.profile = "circle", .words = "circle"},
        {.profile = "nosource", .words = "source_profile"},
        {.profile = "lost", .words = "\"nowhere\""},
        {.profile = "strange", .words = "Moon"},
        {.profile = "self", .words = "its own"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f = {.platform.env = {{"AWS_EC2_METADATA_DISABLED", "true"}}};
        if (cases[i].profile)
            fake_set(&f.platform, "AWS_PROFILE", cases[i].profile);
        if (cases[i].words)
            refused(&f, CARA_ERR_DENIED, cases[i].words);
        else
            found(&f, cases[i].access, cases[i].secret, cases[i].token, "profile");
        done(&f);
    }
}

#define ASSUMED                                                                                    \
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"   \
    "<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s+/&amp;</SecretAccessKey>"     \
    "<SessionToken>tok==</SessionToken><Expiration>2025-10-15T02:10:13Z</Expiration>"              \
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>"

static void credentials_from_web_identity(void **state) {
    (void)state;
    files("", "");
    write_text(token_path, "eyJ.a-b_c.d\n");
    static const test_reply replies[] = {{.status = 500}, {.body = ASSUMED}};
    test_server *server = test_server_start(replies, COUNT(replies));
    fixture f = {.platform.env = {{"AWS_WEB_IDENTITY_TOKEN_FILE", token_path},
                                  {"AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/caracola"},
                                  {"AWS_ENDPOINT_URL_STS", test_server_url(server)}}};
    found(&f, "ASIA1", "s+/&", "tok==", "web identity");
    assert_int_equal(f.credentials.expires_ms, FAKE_NOW + 3600 * 1000);
    test_request r = test_server_request(server, 1);
    char text[256];
    assert_memory_equal(r.raw, "POST / HTTP/1.1\r\n", 17);
    assert_string_equal(test_request_header(&r, "authorization", text, sizeof text), "");
    assert_string_equal(r.body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3A"
                                "aws%3Aiam%3A%3A111122223333%3Arole%2Fcaracola&RoleSessionName="
                                "caracola-1760490613000&WebIdentityToken=eyJ.a-b_c.d");
    done(&f);
    test_server_stop(server);

    static const struct {
        test_reply replies[3];
        int code;
        const char *words;
    } bad[] = {
        {{{.status = 400,
           .body = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>"
                   "<Message>No OpenIDConnect provider</Message></Error></ErrorResponse>"}},
         CARA_ERR_DENIED,
         "InvalidIdentityToken"},
        {{{.status = 503}, {.status = 500}, {.status = 502}}, CARA_ERR_NETWORK, "HTTP 502"},
        {{{.body = "<html>"}}, CARA_ERR_NETWORK, "without credentials"},
        {{{.body = "<a><Credentials><AccessKeyId>A</AccessKeyId></Credentials></a>"}},
         CARA_ERR_NETWORK,
         "without credentials"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        server = test_server_start(bad[i].replies, 3);
        fixture g = {.platform.env = {{"AWS_WEB_IDENTITY_TOKEN_FILE", token_path},
                                      {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"},
                                      {"AWS_ENDPOINT_URL_STS", test_server_url(server)}}};
        refused(&g, bad[i].code, bad[i].words);
        done(&g);
        test_server_stop(server);
    }
    fixture lost = {.platform.env = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token"},
                                     {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"},
                                     {"AWS_REGION", "us-east-1"}}};
    refused(&lost, CARA_ERR_DENIED, "web identity token file");
    done(&lost);
}

static void credentials_from_a_role(void **state) {
    (void)state;
    files("[profile ops]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=base\nexternal_id=e x\n"
          "role_session_name=me\nduration_seconds=900\nregion=eu-west-1\n",
          "[base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=b\n");
    static const test_reply replies[] = {{.body = ASSUMED}};
    test_server *server = test_server_start(replies, 1);
    fixture f = {.platform.env = {{"AWS_PROFILE", "ops"},
                                  {"AWS_ENDPOINT_URL_STS", test_server_url(server)}}};
    found(&f, "ASIA1", "s+/&", "tok==", "assumed role");
    test_request r = test_server_request(server, 0);
    char text[512];
    test_request_header(&r, "authorization", text, sizeof text);
    static const char scope[] = "AWS4-HMAC-SHA256 Credential=AKIDBASE/20251015/eu-west-1/sts/";
    assert_memory_equal(text, scope, sizeof scope - 1);
    assert_string_equal(r.body,
                        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1"
                        "%3Arole%2Fr&RoleSessionName=me&ExternalId=e%20x&DurationSeconds="
                        "900");
    done(&f);
    test_server_stop(server);
}

/* STS is called through the same exchange as every service. */
static void sts_is_repeated_as_every_service(void **state) {
    (void)state;
    files("[profile ops]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=base\n",
          "[base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=b\n");
    static const test_reply replies[] = {
        {.status = 503, .headers = "Retry-After: 3\r\n"},
        {.status = 403,
         .headers = "Date: Wed, 15 Oct 2025 02:10:13 GMT\r\n",
         .body = "<ErrorResponse><Error><Code>RequestTimeTooSkewed</Code></Error></ErrorResponse>"},
        {.body = ASSUMED}};
    test_server *server = test_server_start(replies, COUNT(replies));
    fixture f = {.platform = {.env = {{"AWS_PROFILE", "ops"},
                                      {"AWS_ENDPOINT_URL_STS", test_server_url(server)}}}};
    found(&f, "ASIA1", "s+/&", "tok==", "assumed role");
    assert_true(f.platform.slept == 3);
    test_request r = test_server_request(server, 2);
    char text[64];
    assert_string_equal(test_request_header(&r, "x-amz-date", text, sizeof text),
                        "20251015T021013Z");
    done(&f);
    test_server_stop(server);

    /* The keys of the source cannot be renewed here: so an expired one is DENIED. */
    static const test_reply expired[] = {
        {.status = 403,
         .body = "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>"},
        {.body = ASSUMED}};
    server = test_server_start(expired, COUNT(expired));
    fixture g = {.platform.env = {{"AWS_PROFILE", "ops"},
                                  {"AWS_ENDPOINT_URL_STS", test_server_url(server)}}};
    refused(&g, CARA_ERR_DENIED, "no credentials for role arn:aws:iam::1:role/r: ExpiredToken");
    assert_int_equal(test_server_count(server), 1);
    done(&g);
    test_server_stop(server);
}

#define KEYS                                                                                       \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA2\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","   \
    "\"Expiration\":\"2025-10-15T07:10:13Z\",\"RoleArn\":\"x\"}"

static void credentials_from_a_container(void **state) {
    (void)state;
    files("", "");
    write_text(token_path, "Bearer abc\n");
    static const test_reply replies[] = {{.status = 500}, {.body = KEYS}};
    test_server *server = test_server_start(replies, 2);
    char uri[128];
    snprintf(uri, sizeof uri, "%s/role?id=1", test_server_url(server));
    fixture f = {.platform.env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", uri},
                                  {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong"},
                                  {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_path}}};
    found(&f, "ASIA2", "s", "t", "container credentials agent");
    assert_true(f.platform.slept == 0.1);
    assert_int_equal(f.credentials.expires_ms, FAKE_NOW + 6 * 3600 * 1000);
    test_request r = test_server_request(server, 1);
    char text[64];
    assert_memory_equal(r.raw, "GET /role?id=1 ", 15);
    assert_string_equal(test_request_header(&r, "authorization", text, sizeof text), "Bearer abc");
    done(&f);
    test_server_stop(server);

    static const struct {
        test_reply reply;
        int code;
        const char *words;
    } bad[] = {
        {{.status = 403, .body = "no"}, CARA_ERR_DENIED, "HTTP 403"},
        {{.status = 404}, CARA_ERR_DENIED, "HTTP 404"},
        {{.body = "not json"}, CARA_ERR_NETWORK, "not JSON"},
        {{.body = "[1]"}, CARA_ERR_NETWORK, "without AccessKeyId"},
        {{.body = "{\"AccessKeyId\":\"A\"}"}, CARA_ERR_NETWORK, "without AccessKeyId"},
        {{.body = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"b\",\"Expiration\":\"soon\"}"},
         CARA_ERR_NETWORK,
         "no time"},
        {{.body = "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"trust\"}"},
         CARA_ERR_DENIED,
         "AssumeRoleUnauthorizedAccess trust"},
    };
    static const test_reply busy[] = {
        {.status = 501, .close = 1}, {.drop = 1}, {.status = 503}, {.body = KEYS}};
    server = test_server_start(busy, COUNT(busy));
    fixture three = {
        .platform.env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", test_server_url(server)}}};
    refused(&three, CARA_ERR_NETWORK, "the container credentials agent answered HTTP 503");
    assert_int_equal(test_server_count(server), 3);
    assert_true(three.platform.slept > 0.29 && three.platform.slept < 0.31); /* 0.1 + 0.2 */
    done(&three);
    test_server_stop(server);
    for (size_t i = 0; i < COUNT(bad); i++) {
        server = test_server_start(&bad[i].reply, 1);
        fixture g = {
            .platform.env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", test_server_url(server)}}};
        refused(&g, bad[i].code, bad[i].words);
        done(&g);
        test_server_stop(server);
    }
    fixture far = {
        .platform.env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/"}}};
    refused(&far, CARA_ERR_DENIED, "must be https");
    done(&far);
    fixture relative = {.platform.env = {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil/"}}};
    refused(&relative, CARA_ERR_DENIED, "slash");
    done(&relative);
}

static void allowed_container_credential_urls(void **state) {
    (void)state;
    static const char *const yes[] = {
        "https://anywhere.example/x", "http://127.0.0.1:80/",     "http://127.9.9.9/",
        "http://localhost/",          "http://[::1]:1/",          "http://169.254.170.2/v2",
        "http://169.254.170.23/v1",   "http://[fd00:ec2::23]/v1", "http://[FD00:EC2:0::23]/v1"};
    static const char *const no[] = {"http://evil.example/",
                                     "http://169.254.169.254/",
                                     "http://169.254.170.2.evil.example/",
                                     "http://10.0.0.1/",
                                     "http://127.0.0.1.evil.example/",
                                     "http://127.0.0.1@evil/",
                                     "http://[fd00:ec2::24]/",
                                     "ftp://127.0.0.1/",
                                     "",
                                     "http://0x7f.1/"};
    for (size_t i = 0; i < COUNT(yes); i++)
        if (!cara_credentials_uri_is_allowed(yes[i]))
            fail_msg("refused %s", yes[i]);
    for (size_t i = 0; i < COUNT(no); i++)
        if (cara_credentials_uri_is_allowed(no[i]))
            fail_msg("allowed %s", no[i]);
}

static void credentials_from_an_instance(void **state) {
    (void)state;
    files("", "");
    static const test_reply replies[] = {
        {.body = "TOKEN=="}, {.body = "my-role\nother"}, {.body = KEYS}};
    test_server *server = test_server_start(replies, 3);
    fixture f = {.platform.env = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", test_server_url(server)}}};
    found(&f, "ASIA2", "s", "t", "instance metadata service");
    test_request r = test_server_request(server, 0);
    char text[64];
    assert_memory_equal(r.raw, "PUT /latest/api/token ", 22);
    assert_string_equal(
        test_request_header(&r, "x-aws-ec2-metadata-token-ttl-seconds", text, sizeof text),
        "21600");
    r = test_server_request(server, 2);
    assert_memory_equal(r.raw, "GET /latest/meta-data/iam/security-credentials/my-role ", 55);
    assert_string_equal(test_request_header(&r, "x-aws-ec2-metadata-token", text, sizeof text),
                        "TOKEN==");
    done(&f);
    test_server_stop(server);

    static const struct {
        test_reply replies[3];
        int code;
        const char *words;
    } bad[] = {
        {{{.status = 403}}, CARA_ERR_DENIED, "HTTP 403"}, /* turned off */
        {{{.body = "T"}, {.status = 404}}, CARA_ERR_DENIED, "no role"},
        {{{.body = "T"}, {.body = ""}}, CARA_ERR_DENIED, "names no role"},
        {{{.body = "T"}, {.body = "r"}, {.body = "{"}}, CARA_ERR_NETWORK, "not JSON"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        server = test_server_start(bad[i].replies, 3);
        fixture g = {
            .platform.env = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", test_server_url(server)}}};
        refused(&g, bad[i].code, bad[i].words);
        done(&g);
        test_server_stop(server);
    }
    /* No answer there, or turned off: then there are none at all. */
    fixture none = {.platform.env = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"}}};
    refused(&none, CARA_ERR_DENIED, "no AWS credentials found");
    done(&none);
    fixture off = {.platform.env = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"},
                                    {"AWS_EC2_METADATA_DISABLED", "TRUE"}}};
    refused(&off, CARA_ERR_DENIED, "no AWS credentials found");
    done(&off);
}

static void expired_keys_of_an_instance_are_used_a_while(void **state) {
    (void)state;
    files("", "");
    static const test_reply replies[] = {
        {.body = "T"},
        {.body = "r"},
        {.body = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"b\",\"Token\":\"t\","
                 "\"Expiration\":\"2025-10-15T00:00:00Z\"}"}};
    test_server *server = test_server_start(replies, 3);
    fixture f = {.platform.env = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", test_server_url(server)}}};
    found(&f, "A", "b", "t", "instance metadata service");
    assert_int_equal(f.credentials.expires_ms, FAKE_NOW + 600 * 1000);
    done(&f);
    test_server_stop(server);
}

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(config_path, sizeof config_path, "%s/config", folder);
    snprintf(credentials_path, sizeof credentials_path, "%s/credentials", folder);
    snprintf(token_path, sizeof token_path, "%s/token", folder);
    return 0;
}

static int drop_folder(void **state) {
    (void)state;
    unlink(config_path);
    unlink(credentials_path);
    unlink(token_path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_from_variables),
        cmocka_unit_test(credentials_from_profiles),
        cmocka_unit_test(credentials_from_web_identity),
        cmocka_unit_test(credentials_from_a_role),
        cmocka_unit_test(sts_is_repeated_as_every_service),
        cmocka_unit_test(credentials_from_a_container),
        cmocka_unit_test(allowed_container_credential_urls),
        cmocka_unit_test(credentials_from_an_instance),
        cmocka_unit_test(expired_keys_of_an_instance_are_used_a_while),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
