/* Envelopes are recognised by what they contain, not by where they came from: an SNS record is read
 * in the same way in a Lambda event, in the body of an SQS record and from a dead-letter queue.
 * Each piece that cannot be read becomes a reject of its own, and reading goes on behind it. */
#include "inbox/inbox.h"

#include "base/limits.h"
#include "base/memory/buf.h"
#include "base/utf8.h"
#include "json/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_LEVELS 6 /* envelopes in envelopes: SQS > destination > SNS > event, and some */
#define ARENA_LIMIT (6 * CARA_LIMIT_EVENT_BYTES)

static const cara_json_rules rules = CARA_JSON_RULES(CARA_ERR_EVENT, CARA_LIMIT_EVENT_BYTES);

typedef struct parse {
    cara_inbox *out;
    cara_error *err;
    size_t max_messages, max_rejects; /* that fit the arrays as they are */
    size_t record;
    const char *record_id;
    const char *why_whole; /* the reason why the event is rejected whole; NULL: the error stands */
} parse;

/* What the event, the entry and the change say about the messages in them. */
typedef struct envelope_fields {
    json_t *phone_arns;    /* metaPhoneNumberId -> arn */
    json_t *waba_arns;     /* wabaId -> arn */
    json_t *names;         /* wa_id -> profile name */
    const char *only_name; /* the profile name where there is just one contact */
    const char *waba_id, *waba_arn;
    const char *phone_number_id, *display_phone_number, *phone_number_arn;
} envelope_fields;

/* Also where the arena is full, which no memory can change. */
static int no_memory(parse *p) {
    if (p->out->arena.full)
        p->why_whole = "an event that takes more memory than the limit";
    return cara_fail(p->err, CARA_ERR_MEMORY, -1, "no memory to read the event");
}

/* The array with space for one more element: arrays double inside the arena. */
static void *grow(parse *p, void *array, size_t n, size_t *max, size_t size) {
    if (n < *max)
        return array;
    size_t more = *max ? *max * 2 : 8;
    void *bigger = cara_arena_alloc(&p->out->arena, more, size);
    if (!bigger)
        return NULL;
    if (n)
        memcpy(bigger, array, n * size);
    *max = more;
    return bigger;
}

static int check_count(parse *p) {
    if (p->out->n_messages + p->out->n_rejects < CARA_LIMIT_EVENT_MESSAGES)
        return CARA_OK;
    p->why_whole = "more messages in one event than the limit";
    return cara_fail(p->err, CARA_ERR_EVENT, -1, "more than %d messages in one event",
                     CARA_LIMIT_EVENT_MESSAGES);
}

static int reject(parse *p, const char *bytes, size_t n, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int reject(parse *p, const char *bytes, size_t n, const char *format, ...) {
    int rc = check_count(p);
    if (rc)
        return rc;
    cara_inbox *out = p->out;
    cara_inbox_reject *rejects =
        grow(p, out->rejects, out->n_rejects, &p->max_rejects, sizeof *rejects);
    if (!rejects)
        return no_memory(p);
    out->rejects = rejects;
    char reason[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(reason, sizeof reason, format, ap);
    va_end(ap);
    cara_inbox_reject r = {.bytes = cara_arena_strndup(&out->arena, bytes, n),
                           .n = n,
                           .reason = cara_arena_strdup(&out->arena, reason),
                           .record = p->record,
                           .record_id = p->record_id};
    if (!r.bytes || !r.reason)
        return no_memory(p);
    rejects[out->n_rejects++] = r;
    return CARA_OK;
}

/* A media object's `url` gives anyone the file for some minutes, so it is not kept. It also differs
 * from delivery to delivery, and would make two records of one message. */
static void remove_media_urls(json_t *value, const char *key) {
    static const char *const media[] = {"audio", "voice", "image", "video", "document", "sticker"};
    if (json_is_array(value)) {
        size_t i;
        json_t *element;
        json_array_foreach(value, i, element) remove_media_urls(element, key);
    } else if (json_is_object(value)) {
        int is_media = json_object_get(value, "mime_type") != NULL;
        for (size_t i = 0; !is_media && key && i < sizeof media / sizeof *media; i++)
            is_media = strcmp(key, media[i]) == 0;
        if (is_media)
            json_object_del(value, "url");
        const char *name;
        json_t *member;
        json_object_foreach(value, name, member) remove_media_urls(member, name);
    }
}

/* A reject of something parsed: written back as compact JSON. */
static int reject_json(parse *p, json_t *value, const char *reason) {
    cara_buf text;
    cara_buf_init(&text, CARA_INBOX_TEXT_MAX);
    remove_media_urls(value, NULL);
    int rc = cara_json_write(value, CARA_JSON_COMPACT, &text)
                 ? no_memory(p)
                 : reject(p, text.data, text.len, "%s", reason);
    cara_buf_free(&text);
    return rc;
}

/* Seconds as WhatsApp sends them: a string of digits. A JSON integer means the same. */
static int read_timestamp(const json_t *message, int64_t *out) {
    const json_t *value = json_object_get(message, "timestamp");
    int64_t t = -1;
    if (json_is_integer(value)) {
        t = json_integer_value(value);
    } else {
        const char *s = cara_json_text(message, "timestamp");
        if (!s || !*s)
            return -1;
        for (t = 0; *s; s++) {
            if (*s < '0' || *s > '9')
                return -1;
            t = t * 10 + (*s - '0');
            if (t > CARA_INBOX_MAX_TIMESTAMP)
                return -1;
        }
    }
    *out = t;
    return t < 0 || t > CARA_INBOX_MAX_TIMESTAMP ? -1 : 0;
}

static int read_message(parse *p, const envelope_fields *envelope, json_t *message) {
    if (!json_is_object(message))
        return reject_json(p, message, "a message that is no JSON object");
    int64_t timestamp = 0;
    const char *id = cara_json_text(message, "id");
    if (!id || !*id)
        return reject_json(p, message,
                           "a message without an id (a non-empty string), so it cannot be "
                           "distinguished from others of the same second");
    if (read_timestamp(message, &timestamp))
        return reject_json(p, message,
                           "a message whose timestamp is not a string of digits that count seconds "
                           "since 1970 up to the year 9999");
    int rc = check_count(p);
    if (rc)
        return rc;
    cara_inbox *out = p->out;
    cara_inbox_message *messages =
        grow(p, out->messages, out->n_messages, &p->max_messages, sizeof *messages);
    if (!messages)
        return no_memory(p);
    out->messages = messages;
    remove_media_urls(message, NULL);
    const char *from = cara_json_text(message, "from");
    const json_t *from_value = json_object_get(message, "from");
    if (json_is_integer(from_value)) {
        from =
            cara_arena_printf(&out->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(from_value));
        if (!from)
            return no_memory(p);
    }
    const char *name = from ? cara_json_text(envelope->names, from) : NULL;
    messages[out->n_messages++] = (cara_inbox_message){
        .message = message,
        .id = id,
        .from = from ? from : "",
        .timestamp = timestamp,
        .type = cara_json_text_or(message, "type", ""),
        .profile_name = name ? name : envelope->only_name,
        .group_id = cara_json_text(message, "group_id"),
        .phone_number_id = envelope->phone_number_id,
        .display_phone_number = envelope->display_phone_number,
        .phone_number_arn = envelope->phone_number_arn,
        .waba_id = envelope->waba_id,
        .waba_arn = envelope->waba_arn,
        .record = p->record,
        .record_id = p->record_id,
    };
    return CARA_OK;
}

/* An index that is freed with the inbox. Without it, a long list would be searched for each message
 * of an event. */
static json_t *new_index(parse *p) {
    json_t *index = json_object();
    return index && json_array_append_new(p->out->roots, index) == 0 ? index : NULL;
}

static int index_text(json_t *index, const char *key, const json_t *value) {
    if (!key || !json_is_string(value))
        return 0;
    return json_object_set(index, key, (json_t *)(uintptr_t)value);
}

static int read_contacts(parse *p, envelope_fields *envelope, const json_t *value) {
    const json_t *contacts = json_object_get(value, "contacts");
    envelope->only_name = NULL;
    if (!(envelope->names = new_index(p)))
        return no_memory(p);
    size_t i;
    const json_t *contact;
    json_array_foreach(contacts, i, contact) {
        const json_t *profile = json_object_get(contact, "profile");
        if (index_text(envelope->names, cara_json_text(contact, "wa_id"),
                       json_object_get(profile, "name")))
            return no_memory(p);
        /* `from` may differ from wa_id (Meta says so); a sole contact is the sender all the same.
         */
        if (json_array_size(contacts) == 1)
            envelope->only_name = cara_json_text(profile, "name");
    }
    return CARA_OK;
}

static int read_change(parse *p, envelope_fields *envelope, json_t *change) {
    const char *field = cara_json_text(change, "field");
    json_t *value = json_object_get(change, "value");
    json_t *messages = json_object_get(value, "messages");
    if (json_is_object(change) && field && strcmp(field, "messages") != 0) {
        if (json_array_size(messages))
            return reject_json(p, change,
                               "messages in a change of a field that is not \"messages\"");
        p->out->n_other_fields++;
        return CARA_OK;
    }
    const json_t *statuses = json_object_get(value, "statuses");
    const json_t *errors = json_object_get(value, "errors");
    if (json_is_null(messages))
        messages = NULL;
    if (!json_is_object(value) || (messages && !json_is_array(messages)) ||
        !(messages || statuses || errors || field))
        return reject_json(p, change,
                           "a change that is not {field, value{messages[] or statuses[]}}");
    const json_t *metadata = json_object_get(value, "metadata");
    envelope->phone_number_id = cara_json_text(metadata, "phone_number_id");
    envelope->display_phone_number = cara_json_text(metadata, "display_phone_number");
    /* By id, never by position: all numbers of an account share one event destination. */
    envelope->phone_number_arn =
        envelope->phone_number_id ? cara_json_text(envelope->phone_arns, envelope->phone_number_id)
                                  : NULL;
    int rc = read_contacts(p, envelope, value);
    if (rc)
        return rc;
    p->out->n_statuses += json_array_size(statuses);
    p->out->n_errors += json_array_size(errors);
    size_t i;
    json_t *message;
    json_array_foreach(messages, i, message) {
        if ((rc = read_message(p, envelope, message)))
            return rc;
    }
    return CARA_OK;
}

static int read_entry(parse *p, envelope_fields *envelope, json_t *entry) {
    json_t *changes = json_object_get(entry, "changes");
    if (!json_is_array(changes))
        return reject_json(p, entry, "an entry without changes[]");
    envelope->waba_id = cara_json_text(entry, "id");
    envelope->waba_arn =
        envelope->waba_id ? cara_json_text(envelope->waba_arns, envelope->waba_id) : NULL;
    size_t i;
    json_t *change;
    json_array_foreach(changes, i, change) {
        int rc = read_change(p, envelope, change);
        if (rc)
            return rc;
    }
    return CARA_OK;
}

/* One entry, or an array of them. */
static int read_entries(parse *p, envelope_fields *envelope, json_t *entries) {
    if (!json_is_array(entries))
        return read_entry(p, envelope, entries);
    size_t i;
    json_t *entry;
    json_array_foreach(entries, i, entry) {
        int rc = read_entry(p, envelope, entry);
        if (rc)
            return rc;
    }
    return CARA_OK;
}

/* Parses `text` into *out (kept by the inbox). *out stays NULL where it became a reject. */
static int load_text(parse *p, const char *text, size_t n, const char *what, json_t **out) {
    cara_error error = {0};
    int repaired = 0;
    int rc = cara_json_read_repaired(text, n, &rules, out, &repaired, &error);
    if (rc == CARA_ERR_EVENT)
        return reject(p, text, n, "%s: %s", what, error.text);
    if (rc || json_array_append_new(p->out->roots, *out)) {
        *out = NULL;
        return no_memory(p);
    }
    if (repaired)
        return reject(
            p, text, n,
            "%s holds bytes, characters or numbers that JSON does not allow, or a name twice in "
            "one object; its messages were read with replacements, and the last member of a name, "
            "and this is what came",
            what);
    return CARA_OK;
}

/* {context{MetaWabaIds[], MetaPhoneNumberIds[]}, whatsAppWebhookEntry (JSON in a string)} */
static int read_social_event(parse *p, json_t *event) {
    json_t *context = json_object_get(event, "context");
    if (!json_is_object(context))
        context = event; /* an older page of the user guide shows no wrapper */
    envelope_fields envelope = {.phone_arns = new_index(p)};
    envelope.waba_arns = envelope.phone_arns ? new_index(p) : NULL;
    if (!envelope.waba_arns)
        return no_memory(p);
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(context, "MetaPhoneNumberIds"), i, item) {
        if (index_text(envelope.phone_arns, cara_json_text(item, "metaPhoneNumberId"),
                       json_object_get(item, "arn")))
            return no_memory(p);
    }
    json_array_foreach(json_object_get(context, "MetaWabaIds"), i, item) {
        if (index_text(envelope.waba_arns, cara_json_text(item, "wabaId"),
                       json_object_get(item, "arn")))
            return no_memory(p);
    }
    json_t *entry = json_object_get(event, "whatsAppWebhookEntry");
    if (json_is_string(entry)) {
        json_t *parsed = NULL;
        int rc = load_text(p, json_string_value(entry), json_string_length(entry),
                           "whatsAppWebhookEntry", &parsed);
        if (rc || !parsed)
            return rc;
        entry = parsed;
    }
    return read_entries(p, &envelope, entry);
}

static int read_value(parse *p, json_t *value, int level);

static int read_text(parse *p, const json_t *string, const char *what, int level) {
    json_t *value = NULL;
    int rc = load_text(p, json_string_value(string), json_string_length(string), what, &value);
    return rc || !value ? rc : read_value(p, value, level + 1);
}

/* SNS, in a Lambda record or as JSON of its own. */
static int read_sns(parse *p, json_t *sns, int level) {
    const char *type = cara_json_text(sns, "Type");
    if (type && (strcmp(type, "SubscriptionConfirmation") == 0 ||
                 strcmp(type, "UnsubscribeConfirmation") == 0)) {
        p->out->n_confirmations++;
        return CARA_OK;
    }
    const json_t *message = json_object_get(sns, "Message");
    if (!json_is_string(message))
        return reject_json(p, sns, "an SNS notification without a Message");
    return read_text(p, message, "the SNS Message", level);
}

/* Only the first envelope of an object is read, so one with several is kept as well. */
static int keep_others(parse *p, json_t *value, int envelopes) {
    return envelopes > 1 ? reject_json(p, value,
                                       "several envelopes in one object; the messages of the first "
                                       "were read, and this is what came")
                         : CARA_OK;
}

static int read_record(parse *p, json_t *record, int level) {
    json_t *sns = json_object_get(record, "Sns");
    const json_t *body = json_object_get(record, "body");
    int rc = keep_others(p, record, json_is_object(sns) + json_is_string(body));
    if (rc)
        return rc;
    if (json_is_object(sns))
        return read_sns(p, sns, level);
    if (!json_is_string(body))
        return reject_json(p, record, "a record that is neither SNS (Sns{}) nor SQS (body)");
    return read_text(p, body, "the SQS body", level);
}

static int read_records(parse *p, json_t *records, int level, int outermost) {
    if (outermost)
        p->out->n_records = json_array_size(records);
    size_t i;
    json_t *record;
    json_array_foreach(records, i, record) {
        if (outermost) { /* SQS and Lambda know only the outermost records */
            p->record = i;
            p->record_id = cara_json_text(record, "messageId");
            if (json_is_string(json_object_get(record, "body")))
                p->out->is_sqs = 1;
        }
        int rc = read_record(p, record, level);
        if (rc)
            return rc;
    }
    return CARA_OK;
}

static int read_value(parse *p, json_t *value, int level) {
    if (!json_is_object(value))
        return reject_json(p, value, "JSON that is no object, so no event");
    if (level >= MAX_LEVELS)
        return reject_json(p, value, "envelopes nested deeper than the limit");
    json_t *records = json_object_get(value, "Records"), *entry = json_object_get(value, "entry");
    /* Lambda's on-failure destination: the event that failed, in a wrapper. */
    json_t *payload = json_object_get(value, "requestPayload");
    int is_social = json_object_get(value, "whatsAppWebhookEntry") != NULL;
    int is_sns =
        json_is_string(json_object_get(value, "Type")) && json_object_get(value, "TopicArn");
    int has_changes = json_object_get(value, "changes") != NULL;
    int rc = keep_others(p, value,
                         json_is_array(records) + is_social + is_sns + json_is_array(entry) +
                             has_changes + json_is_object(payload));
    if (rc)
        return rc;
    if (json_is_array(records))
        return read_records(p, records, level, level == 0);
    if (is_social)
        return read_social_event(p, value);
    if (is_sns)
        return read_sns(p, value, level);
    envelope_fields envelope = {0};
    if (json_is_array(entry))
        return read_entries(p, &envelope, entry);
    if (has_changes)
        return read_entry(p, &envelope, value);
    if (json_is_object(payload))
        return read_value(p, payload, level + 1);
    return reject_json(p, value,
                       "no envelope that we know: expected Records[], an SNS notification, "
                       "whatsAppWebhookEntry or a WhatsApp webhook's entry[]");
}

/* The whole event as the only reject, where it exceeds a ceiling. */
static int reject_whole(parse *p, const char *bytes, size_t n, const char *reason) {
    cara_inbox_free(p->out);
    p->why_whole = NULL;
    p->max_messages = p->max_rejects = p->record = 0;
    p->record_id = NULL;
    p->out->arena.limit = n + CARA_MIB;
    p->out->n_records = 1;
    return reject(p, bytes, n, "%s", reason);
}

int cara_inbox_parse(const char *bytes, size_t n, cara_inbox *out, cara_error *err) {
    *out = (cara_inbox){.n_records = 1};
    cara_arena_init(&out->arena, ARENA_LIMIT);
    parse p = {.out = out, .err = err};
    if (n > CARA_LIMIT_EVENT_BYTES)
        return reject_whole(&p, bytes, n, "an event larger than the limit of 8 MiB");
    out->roots = json_array();
    if (!out->roots)
        return no_memory(&p);
    json_t *value = NULL;
    int rc = load_text(&p, bytes, n, "the event", &value);
    if (!rc && value)
        rc = read_value(&p, value, 0);
    if (rc && p.why_whole)
        rc = reject_whole(&p, bytes, n, p.why_whole);
    return rc;
}

void cara_inbox_free(cara_inbox *inbox) {
    json_decref(inbox->roots);
    cara_arena arena = inbox->arena;
    cara_arena_free(&arena);
    *inbox = (cara_inbox){.arena = arena};
}

int cara_inbox_is_unreadable(const cara_inbox *inbox) {
    return inbox->n_rejects > 0 && inbox->n_messages + inbox->n_statuses + inbox->n_errors +
                                           inbox->n_other_fields + inbox->n_confirmations ==
                                       0;
}
