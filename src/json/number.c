#include "json/number.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raises the last digit of text by one where the result reads back as value. */
static int next_up(char *text, double value) {
    char raised[40];
    snprintf(raised, sizeof raised, "%s", text);
    char *p = strchr(raised, 'e');
    do { /* carry over the nines, and over the decimal point */
        if (!p || p == raised)
            return 0;
        p--;
        if (*p == '9')
            *p = '0';
        else if (isdigit((unsigned char)*p))
            break;
    } while (1);
    ++*p;
    if (strtod(raised, NULL) != value)
        return 0;
    snprintf(text, sizeof raised, "%s", raised);
    return 1;
}

int cara_json_write_real(double value, cara_json_style style, cara_buf *out) {
    if (!isfinite(value))
        return cara_buf_str(out, "null");
    if (value == 0)
        return cara_buf_str(out, signbit(value) ? "-0.0" : "0.0");

    /* 17 significant digits always read back; fewer mostly do. Below a power of two doubles lie
     * closer than above it, so there the nearest decimal may fail where the next one up reads
     * back: repr() gives that one. */
    int python = style == CARA_JSON_PYTHON, digits = python ? 1 : 15;
    char text[40];
    for (;; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        if (digits == 17 || strtod(text, NULL) == value ||
            (python && digits == 16 && next_up(text, value)))
            break;
    }
    int most = python ? 16 : digits; /* digits before the point that are written out */

    /* The digits alone, so that a locale's decimal comma is never seen. */
    char digit[20];
    int n = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (isdigit((unsigned char)*p) && n < 18)
            digit[n++] = *p;
    while (n > 1 && digit[n - 1] == '0')
        n--;
    int point =
        1 + (*p == 'e' ? (int)strtol(p + 1, NULL, 10) : 0); /* digits before the decimal point */

    if (value < 0)
        cara_buf_char(out, '-');
    if (point > -4 && point <= most) {
        if (point <= 0)
            cara_buf_str(out, "0.");
        for (int i = point; i < 0; i++)
            cara_buf_char(out, '0');
        for (int i = 0; i < n || i < point; i++) {
            if (i == point && i > 0)
                cara_buf_char(out, '.');
            cara_buf_char(out, i < n ? digit[i] : '0');
        }
        if (point >= n)
            cara_buf_str(out, ".0");
    } else {
        cara_buf_char(out, digit[0]);
        if (n > 1) {
            cara_buf_char(out, '.');
            cara_buf_add(out, digit + 1, (size_t)n - 1);
        }
        cara_buf_printf(out, "e%c%02d", point > 0 ? '+' : '-', abs(point - 1));
    }
    return out->failed ? -1 : 0;
}
