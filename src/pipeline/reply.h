/* The transcript back to the sender, as a WhatsApp reply: at most once a message. */
#ifndef PIPELINE_REPLY_H
#define PIPELINE_REPLY_H

#include "pipeline/pipeline.h"

struct cara_aws;

/* WhatsApp takes 4096 characters in a text (Meta, Cloud API, "Text messages"). */
#define CARA_REPLY_CHARACTERS 4096
#define CARA_REPLY_PARTS 8 /* messages; what is longer ends with three dots */

/* Sends `text` (as many messages as it takes) to the sender of `message`, quoting it. First the
 * right to send is claimed, by creating the object "<record key without .json>.reply", which
 * succeeds only once: so no message is answered twice, and if the process ends early or WhatsApp
 * does not take the reply, it is not answered at all. Nothing is sent to groups, which have no
 * sender to answer. CARA_OK: sent. CONFLICT: claimed before. NOT_FOUND: there is no sender, no
 * phone number to answer from, or no text. USAGE, STORE: not sent. Any other code: it may have been
 * sent, or a part of it. */
int cara_reply_send(struct cara_aws *aws, cara_store *store, const cara_inbox_message *message,
                    const char *record_key, const char *text, cara_error *err);

/* The bytes of `text` that the next message takes: at most `most` characters, cut after a blank
 * where there is one in the last quarter. 0 for "". */
size_t cara_reply_cut(const char *text, size_t most);

#endif
