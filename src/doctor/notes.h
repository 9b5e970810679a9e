/* The voice notes of samples/ that are built in (scripts/embed-notes writes the .c). */
#ifndef DOCTOR_NOTES_H
#define DOCTOR_NOTES_H

#include <stddef.h>

enum { CARA_NOTE_SPANISH, CARA_NOTE_ENGLISH, CARA_NOTES };

typedef struct cara_note {
    const unsigned char *bytes; /* [n], Ogg/Opus */
    size_t n;
    const char *text; /* what is said in it */
} cara_note;

extern const cara_note cara_notes[CARA_NOTES];

#endif
