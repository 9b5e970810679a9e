/* A voice note that comes with the program, through the whole engine. Private to this room. */
#ifndef DOCTOR_NOTE_H
#define DOCTOR_NOTE_H

#include "doctor/doctor.h"

void cara_doctor_note(cara_doctor *doctor);

/* Words of `got` that differ from `expected`, in its count of words: insertions, deletions and
 * substitutions, without case and punctuation. For tests too. */
size_t cara_doctor_wrong_words(const char *expected, const char *got, size_t *n_expected);

#endif
