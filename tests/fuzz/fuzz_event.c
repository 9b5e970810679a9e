/* Events: whatever comes, it is parsed, written as records and quarantine, and freed. */
#include "base/limits.h"
#include "base/memory/buf.h"
#include "inbox/inbox.h"
#include "pipeline/record/key.h"
#include "pipeline/record/record.h"
#include "store/store.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A record of any message must be valid JSON that reads back with the same id and is complete. */
static void check_message(const cara_inbox_message *m) {
    char key[CARA_KEY_SIZE];
    if (cara_key_message(m->id, m->from, m->timestamp, NULL, key) || !cara_store_key_is_valid(key))
        abort();
    cara_buf json;
    cara_buf_init(&json, CARA_LIMIT_RECORD_BYTES);
    cara_record record;
    cara_record_init(&record, m);
    if (cara_record_write(&record, &json, NULL))
        abort();
    cara_record_free(&record);
    cara_record_state state;
    char *id = NULL;
    if (cara_record_read(json.data, json.len, &state, &id, NULL) || state != CARA_RECORD_COMPLETE ||
        !id || strcmp(id, m->id) != 0)
        abort();
    free(id);
    cara_buf_free(&json);
    const json_t *audio = json_object_get(m->message, "audio");
    const char *media_id = cara_json_text(audio, "id");
    char ext[CARA_MEDIA_EXT], media_key[CARA_KEY_SIZE];
    cara_media_ext_of_mime(cara_json_text(audio, "mime_type"), ext);
    if (media_id && !cara_key_media(key, media_id, ext, media_key) &&
        !cara_store_key_is_valid(media_key))
        abort();
}

static void check_reject(const cara_inbox_reject *r) {
    char key[CARA_KEY_SIZE];
    if (cara_key_quarantine(r->bytes, r->n, key) || !cara_store_key_is_valid(key))
        abort();
    cara_buf json;
    cara_buf_init(&json, CARA_LIMIT_RECORD_BYTES);
    if (cara_record_quarantine(r->bytes, r->n, 0, r->reason, &json, NULL))
        abort();
    json_t *back = json_loadb(json.data, json.len, JSON_ALLOW_NUL, NULL);
    if (!back)
        abort();
    json_decref(back);
    cara_buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cara_inbox inbox;
    cara_error err = {0};
    if (cara_inbox_parse((const char *)data, size, &inbox, &err) == CARA_OK) {
        for (size_t i = 0; i < inbox.n_messages; i++)
            check_message(&inbox.messages[i]);
        for (size_t i = 0; i < inbox.n_rejects; i++)
            check_reject(&inbox.rejects[i]);
    }
    cara_inbox_free(&inbox);
    return 0;
}
