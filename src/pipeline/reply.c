#include "pipeline/reply.h"

#include "aws/client/client.h"
#include "aws/services/social.h"
#include "base/limits.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(cara_error *err) {
    return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory for a reply");
}

/* Bytes of the first `most` characters, or all. */
static size_t prefix(const char *text, size_t most) {
    size_t n = 0;
    for (size_t characters = 0; text[n]; n++)
        if (((unsigned char)text[n] & 0xc0) != 0x80 && ++characters > most)
            break;
    return n;
}

size_t cara_reply_cut(const char *text, size_t most) {
    size_t n = prefix(text, most);
    if (!text[n])
        return n;
    for (size_t i = n; i > n - n / 4; i--)
        if (text[i - 1] == ' ' || text[i - 1] == '\n')
            return i;
    return n;
}

/* "2025-10-15/521...-abc.json" gives "2025-10-15/521...-abc.reply" */
static int claim_key(const char *record_key, char out[CARA_KEY_SIZE]) {
    size_t n = strlen(record_key);
    if (n < 5 || n + 2 > CARA_KEY_SIZE || strcmp(record_key + n - 5, ".json") != 0)
        return -1;
    snprintf(out, CARA_KEY_SIZE, "%.*s.reply", (int)(n - 5), record_key);
    return 0;
}

/* `to`: digits only; Meta takes neither "+" nor blanks. */
static int send_part(cara_aws *aws, const cara_inbox_message *m, const char *to, const char *text,
                     size_t n, int more_to_come, cara_error *err) {
    char *body = malloc(n + sizeof " \xE2\x80\xA6");
    if (!body)
        return no_memory(err);
    snprintf(body, n + sizeof " \xE2\x80\xA6", "%.*s%s", (int)n, text,
             more_to_come ? " \xE2\x80\xA6" : "");
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:{s:s}, s:s, s:{s:b, s:s}}", "messaging_product", "whatsapp",
                  "recipient_type", "individual", "to", to, "context", "message_id", m->id, "type",
                  "text", "text", "preview_url", 0, "body", body);
    cara_buf json;
    cara_buf_init(&json, CARA_MIB);
    char sent[128];
    int rc = !cara_json_write(root, CARA_JSON_COMPACT, &json)
                 ? cara_social_send(aws, m->phone_number_arn, json.data, json.len, NULL, sent,
                                    sizeof sent, err)
                 : no_memory(err);
    cara_buf_free(&json);
    json_decref(root);
    free(body);
    return rc;
}

int cara_reply_send(cara_aws *aws, cara_store *store, const cara_inbox_message *m,
                    const char *record_key, const char *text, cara_error *err) {
    static const char claim[] = "{\"reply\": \"claimed\"}\n";
    char key[CARA_KEY_SIZE], to[33];
    cara_key_sender(m->from, to);
    if (m->group_id || strcmp(to, "0") == 0)
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "the message has no sender to answer");
    if (!m->phone_number_arn)
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1,
                         "the event does not name AWS's id of the phone number to answer from");
    while (*text == ' ')
        text++;
    if (!*text)
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "there are no words to send");
    if (claim_key(record_key, key))
        return cara_fail(err, CARA_ERR_INTERNAL, -1, "no key for the claim of a reply");
    int rc = cara_store_put(store, key, claim, sizeof claim - 1, 1, err);
    /* Room for the dots (one character) and their blank. */
    for (int part = 1; !rc && *text; part++) {
        size_t n = cara_reply_cut(text, CARA_REPLY_CHARACTERS - 2);
        int last = part == CARA_REPLY_PARTS && text[n];
        rc = send_part(aws, m, to, text, n, last, err);
        text += n;
        if (last)
            break;
    }
    return rc;
}
