/* Digests, base64 and hex. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/digest.h"
#include "crypto/encoding.h"

#include <string.h>

static void digests_are_read_in_every_form(void **state) {
    uint8_t a[32], b[32];
    char text[64];
    assert_int_equal(cara_sha256("OggS", 4, a), 0);
    cara_base64url_encode(a, 32, text);
    assert_string_equal(text, "aNntKtskRY_xc9sGtBudG24ih2TEVwMNY_rRGwK_rh4");
    static const char *const same[] = {
        "aNntKtskRY/xc9sGtBudG24ih2TEVwMNY/rRGwK/rh4=",
        "aNntKtskRY/xc9sGtBudG24ih2TEVwMNY/rRGwK/rh4",
        "aNntKtskRY_xc9sGtBudG24ih2TEVwMNY_rRGwK_rh4=",
        "68d9ed2adb24458ff173db06b41b9d1b6e228764c457030d63fad11b02bfae1e",
        "68D9ED2ADB24458FF173DB06B41B9D1B6E228764C457030D63FAD11B02BFAE1E",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(cara_sha256_read(same[i], b), 0);
        assert_memory_equal(a, b, 32);
    }
    static const char *const bad[] = {
        "",
        "x",
        "aNntKtskRY/xc9sGtBudG24ih2TEVwMNY/rRGwK/rg==",
        "aNntKtskRY/xc9sGtBudG24ih2TEVwMNY/rRGwK/rh4==",
        "aNntKtskRY xc9sGtBudG24ih2TEVwMNY/rRGwK/rh4=",
        "g8d9ed2adb24458ff173db06b41b9d1b6e228764c457030d63fad11b02bfae1e",
        "68d9ed2adb24458ff173db06b41b9d1b6e228764c457030d63fad11b02bfae1e0",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(cara_sha256_read(bad[i], b), -1);
}

static void digest_of_pieces_equals_digest_of_the_whole(void **state) {
    char whole[65], pieces[65];
    cara_sha256_run run;
    assert_int_equal(cara_sha256_hex("OggS", 4, whole), 0);
    assert_string_equal(whole, "68d9ed2adb24458ff173db06b41b9d1b6e228764c457030d63fad11b02bfae1e");
    assert_int_equal(cara_sha256_begin(&run), 0);
    assert_int_equal(cara_sha256_add(&run, "Og", 2), 0);
    assert_int_equal(cara_sha256_add(&run, "gS", 2), 0);
    assert_int_equal(cara_sha256_end(&run, pieces), 0);
    assert_string_equal(pieces, whole);
    run.md = NULL; /* as after a begin that failed */
    assert_int_equal(cara_sha256_end(&run, pieces), -1);
    assert_string_equal(pieces, "");
}

/* RFC 4648 section 10, and what the two alphabets differ in. */
static void base64_goes_both_ways(void **state) {
    static const struct {
        const char *bytes, *text, *url;
    } cases[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xff\xff\xfe", "///+", "___-"},
        {"\xfb\xff", "+/8=", "-_8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].bytes);
        char text[16], url[16];
        uint8_t back[16];
        cara_base64_encode(cases[i].bytes, n, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(strlen(text) + 1, CARA_BASE64_SIZE(n));
        cara_base64url_encode(cases[i].bytes, n, url);
        assert_string_equal(url, cases[i].url);
        const char *const forms[] = {text, url};
        for (size_t j = 0; j < 2; j++) {
            assert_int_equal(cara_base64_decode(forms[j], strlen(forms[j]), back), n);
            assert_memory_equal(back, cases[i].bytes, n);
        }
    }
    static const char *const bad[] = {"Z",    "Zm9vY", " Zm9", "Zm9v\n", "Zm 9", "Zm9vYg===",
                                      "====", "Z===",  "=",    "Zg=v",   "Z*==", "Zm9\xc3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t back[16];
        assert_int_equal(cara_base64_decode(bad[i], strlen(bad[i]), back), -1);
    }
}

static void hex_goes_both_ways(void **state) {
    const uint8_t bytes[] = {0x00, 0x09, 0xa0, 0xff};
    char text[9];
    uint8_t back[4];
    cara_hex_encode(bytes, 4, text);
    assert_string_equal(text, "0009a0ff");
    assert_int_equal(cara_hex_decode(text, back, 4), 0);
    assert_memory_equal(back, bytes, 4);
    assert_int_equal(cara_hex_decode("0009A0fF", back, 4), 0);
    assert_memory_equal(back, bytes, 4);
    cara_hex_encode(bytes, 0, text);
    assert_string_equal(text, "");
    static const char *const bad[] = {"",         "0009a0f",  "0009a0fff",
                                      "0009a0fg", "00 9a0ff", "0x09a0ff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(cara_hex_decode(bad[i], back, 4), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_read_in_every_form),
        cmocka_unit_test(digest_of_pieces_equals_digest_of_the_whole),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(hex_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
