#include "pipeline/record/key.h"

#include "crypto/digest.h"
#include "crypto/encoding.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void cara_key_sender(const char *from, char out[33]) {
    size_t n = 0;
    /* Only the characters with which people write phone numbers are removed. Removing others could
     * turn one sender into another, so then the whole is refused. */
    for (const char *s = from ? from : ""; *s; s++) {
        if (*s >= '0' && *s <= '9' && n < 32)
            out[n++] = *s;
        else if (!strchr("+ -()", *s)) {
            n = 0;
            break;
        } else if (*s == '+' && n > 0) {
            n = 0;
            break;
        }
    }
    if (n == 0)
        out[n++] = '0';
    out[n] = 0;
}

static int utc(int64_t t, struct tm *out) {
    time_t seconds = (time_t)t;
    return gmtime_r(&seconds, out) ? 0 : -1;
}

int cara_key_message(const char *message_id, const char *from, int64_t t, cara_local_time_fn local,
                     char out[CARA_KEY_SIZE]) {
    struct tm tm;
    uint8_t digest[32];
    if ((local ? local : utc)(t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900 ||
        cara_sha256(message_id, strlen(message_id), digest))
        return -1;
    char sender[33], id[CARA_BASE64_SIZE(sizeof digest)];
    cara_key_sender(from, sender);
    cara_base64url_encode(digest, sizeof digest, id);
    /* The masks change nothing; they show the compiler that each field keeps its width. */
    snprintf(out, CARA_KEY_SIZE, "%04u-%02u-%02u/%s-%02u-%02u-%02u-%.11s.json",
             (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
             (unsigned)tm.tm_mday % 100u, sender, (unsigned)tm.tm_hour % 100u,
             (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, id);
    return 0;
}

int cara_media_id_is_valid(const char *media_id) {
    if (!media_id)
        return 0;
    size_t n = 0;
    for (; media_id[n]; n++) {
        char c = media_id[n];
        if (n == CARA_MEDIA_ID_MAX ||
            !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return 0;
    }
    return n > 0;
}

int cara_key_media(const char *record_key, const char *media_id, const char *ext,
                   char out[CARA_KEY_SIZE]) {
    if (!cara_media_id_is_valid(media_id) || strlen(record_key) < 11)
        return -1;
    snprintf(out, CARA_KEY_SIZE, "%.11s%.100s.%.8s", record_key, media_id, ext);
    return 0;
}

int cara_key_quarantine(const void *bytes, size_t n, char out[CARA_KEY_SIZE]) {
    uint8_t digest[32];
    if (cara_sha256(bytes, n, digest))
        return -1;
    char id[CARA_BASE64_SIZE(sizeof digest)];
    cara_base64url_encode(digest, sizeof digest, id);
    snprintf(out, CARA_KEY_SIZE, "quarantine/%.22s.json", id);
    return 0;
}

int cara_media_ext_clean(const char *ext, char out[CARA_MEDIA_EXT]) {
    size_t n = 0;
    for (; ext[n]; n++) {
        char c = ext[n];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (n == CARA_MEDIA_EXT - 1 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'))) {
            out[0] = 0;
            return -1;
        }
        out[n] = c;
    }
    out[n] = 0;
    return n ? 0 : -1;
}

void cara_media_ext_of_mime(const char *mime_type, char out[CARA_MEDIA_EXT]) {
    /* AWS End User Messaging Social user guide, "Supported media file types". */
    static const char *const known[][2] = {
        {"audio/aac", "aac"}, {"audio/amr", "amr"}, {"audio/mpeg", "mp3"},
        {"audio/mp4", "m4a"}, {"audio/ogg", "ogg"},
    };
    const char *mime = mime_type ? mime_type : "";
    size_t n = strcspn(mime, "; \t");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i][0]) == n && strncasecmp(mime, known[i][0], n) == 0) {
            snprintf(out, CARA_MEDIA_EXT, "%s", known[i][1]);
            return;
        }
    char subtype[CARA_MEDIA_EXT + 1] = "";
    const char *slash = memchr(mime, '/', n);
    if (slash) {
        size_t len = n - (size_t)(slash + 1 - mime);
        if (len < sizeof subtype) {
            memcpy(subtype, slash + 1, len);
            subtype[len] = 0;
        }
    }
    if (cara_media_ext_clean(subtype, out))
        snprintf(out, CARA_MEDIA_EXT, "bin");
}

/* "YYYY-MM-DD/" */
static int begins_with_day(const char *s) {
    static const char shape[] = "dddd-dd-dd/";
    for (size_t i = 0; shape[i]; i++)
        if (shape[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
            return 0;
    return 1;
}

void cara_key_hide(char *text) {
    char *out = text;
    for (const char *s = text; *s;) {
        if (!begins_with_day(s)) {
            *out++ = *s++;
            continue;
        }
        memmove(out, s, 11);
        out += 11;
        s += 11;
        size_t digits = strspn(s, "0123456789");
        if (digits && s[digits] == '-') {
            *out++ = 'x';
            s += digits;
        }
    }
    *out = 0;
}
