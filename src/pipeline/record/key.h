/* Where a message, its audio and what cannot be understood lie in the store. Every name is made of
 * digits, letters and hashes that we make: nothing that a sender wrote becomes part of a path as it
 * is.
 */
#ifndef PIPELINE_KEY_H
#define PIPELINE_KEY_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CARA_KEY_SIZE 160 /* any key, with its NUL */
#define CARA_MEDIA_EXT 9  /* extension, with its NUL */
#define CARA_MEDIA_ID_MAX 100

/* Local time of t; 0, or -1 where it has none. NULL stands for UTC. */
typedef int (*cara_local_time_fn)(int64_t t, struct tm *out);

/* The sender as digits: "+1 650-555-1234" gives "16505551234". Anything else (missing, letters,
 * slashes, more than 32 digits) gives "0", which no sender has. out holds 33 bytes. */
void cara_key_sender(const char *from, char out[33]);

/* "YYYY-MM-DD/<sender>-<HH-MM-SS>-<id>.json"; <id> is the first 11 base64url characters of the
 * SHA-256 of the message id. All of it comes from the message, nothing from the clock or the
 * process, so a redelivery finds the same key. 0, or -1 where t has no date of four-digit year. */
int cara_key_message(const char *message_id, const char *from, int64_t t, cara_local_time_fn local,
                     char out[CARA_KEY_SIZE]);

/* "<day of the record's key>/<media_id>.<ext>". 0, or -1 where media_id is not [A-Za-z0-9]{1,100}.
 */
int cara_key_media(const char *record_key, const char *media_id, const char *ext,
                   char out[CARA_KEY_SIZE]);

/* "quarantine/<22 base64url characters of the SHA-256 of the bytes>.json": the same for every
 * delivery. 0, or -1 on no memory. */
int cara_key_quarantine(const void *bytes, size_t n, char out[CARA_KEY_SIZE]);

/* 1 for [A-Za-z0-9]{1,100}, the pattern of GetWhatsAppMessageMedia's mediaId. NULL gives 0. */
int cara_media_id_is_valid(const char *media_id);

/* "audio/ogg; codecs=opus" gives "ogg", "audio/mpeg" "mp3", "audio/mp4" "m4a"; an unknown subtype
 * of letters and digits gives itself, anything else (NULL too) "bin". */
void cara_media_ext_of_mime(const char *mime_type, char out[CARA_MEDIA_EXT]);

/* A found file's extension, lower-cased. 0, or -1 (out is "") where it is not [A-Za-z0-9]{1,8}. */
int cara_media_ext_clean(const char *ext, char out[CARA_MEDIA_EXT]);

/* Hides the senders' numbers in the keys that a sentence names, in place:
 * "2025-10-15/5215512345678-01-10-13-abc.json" becomes "2025-10-15/x-01-10-13-abc.json". */
void cara_key_hide(char *text);

#endif
