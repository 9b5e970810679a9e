#include "doctor/note.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "doctor/calls.h"
#include "doctor/notes.h"

#include <stdlib.h>
#include <string.h>

#define NOTE_S 180.0
#define MAX_WORDS 256

typedef struct words {
    const char *at[MAX_WORDS];
    size_t len[MAX_WORDS];
    size_t n;
} words;

static int is_letter(unsigned char c) {
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void split(const char *text, words *out) {
    out->n = 0;
    while (*text && out->n < MAX_WORDS) {
        while (*text && !is_letter((unsigned char)*text))
            text++;
        size_t n = 0;
        while (is_letter((unsigned char)text[n]))
            n++;
        if (n) {
            out->at[out->n] = text;
            out->len[out->n++] = n;
        }
        text += n;
    }
}

static int same(const words *a, size_t i, const words *b, size_t j) {
    if (a->len[i] != b->len[j])
        return 0;
    for (size_t k = 0; k < a->len[i]; k++) {
        unsigned char x = (unsigned char)a->at[i][k], y = (unsigned char)b->at[j][k];
        x = x >= 'A' && x <= 'Z' ? (unsigned char)(x + 32) : x;
        y = y >= 'A' && y <= 'Z' ? (unsigned char)(y + 32) : y;
        if (x != y)
            return 0;
    }
    return 1;
}

size_t cara_doctor_wrong_words(const char *expected, const char *got, size_t *n_expected) {
    words a, b;
    split(expected, &a);
    split(got, &b);
    *n_expected = a.n;
    /* Levenshtein, one row at a time. */
    size_t row[MAX_WORDS + 1];
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 0; i < a.n; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b.n; j++) {
            size_t best = corner + !same(&a, i, &b, j);
            corner = row[j + 1];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = corner + 1 < best ? corner + 1 : best;
            row[j + 1] = best;
        }
    }
    return row[b.n];
}

typedef struct time_limit {
    const cara_doctor *doctor;
    double end;
} time_limit;

static int should_stop(void *cookie) {
    const time_limit *l = cookie;
    return cara_clock_monotonic() > l->end ||
           (l->doctor->stop && l->doctor->stop(l->doctor->stop_cookie));
}

static int is_language(const char *language, const char *code, const char *name) {
    return language && (strcmp(language, code) == 0 || strcmp(language, name) == 0);
}

static void check_transcript(cara_doctor *d, const cara_note *note, const char *got, double seconds,
                             double spoken, int comparable) {
    size_t said = 0, wrong = cara_doctor_wrong_words(note->text, got, &said);
    cara_checkup *c = d->checkup;
    cara_slice text = cara_utf8_strip(got, strlen(got));
    if (wrong == 0)
        cara_checkup_add(c, "note", CARA_FINDING_OK,
                         "a voice note of %.1f s was transcribed word for word, in %.1f s", spoken,
                         seconds);
    else if (d->is_demo) {
        cara_checkup_add(
            c, "note", CARA_FINDING_FAILURE,
            "a voice note was transcribed wrongly, which the demo model never does: \"%.*s\"",
            (int)(text.len > 300 ? 300 : text.len), (const char *)text.ptr);
        cara_checkup_advise(c, "the engine miscalculates on this machine: try CARACOLA_CPU=scalar, "
                               "and report it with the output of `caracola bench`");
    } else if (!comparable)
        cara_checkup_add(
            c, "note", CARA_FINDING_OK,
            "a voice note of %.1f s was transcribed in %.1f s (in a language that is not "
            "its own, so the words are not compared)",
            spoken, seconds);
    else if (2 * wrong <= said)
        cara_checkup_add(
            c, "note", CARA_FINDING_OK,
            "a voice note of %.1f s was transcribed in %.1f s, with %zu of %zu words wrong (the "
            "voice is a machine's)",
            spoken, seconds, wrong, said);
    else {
        cara_checkup_add(c, "note", CARA_FINDING_WARNING,
                         "a voice note was not understood by this model: it transcribed \"%.*s\"",
                         (int)(text.len > 300 ? 300 : text.len), (const char *)text.ptr);
        cara_checkup_advise(c,
                            "for Spanish voice notes take medium at least; if it is one, check its "
                            "digest");
    }
    if (seconds > spoken * 3 && c->checks[c->n - 1].finding == CARA_FINDING_OK) {
        c->checks[c->n - 1].finding = CARA_FINDING_WARNING;
        cara_checkup_advise(c, "%s",
                            d->memory_mb
                                ? "that is slow: more memory gives a function more processor"
                                : "that is slow: `caracola bench` says what this machine "
                                  "could do; an int8 model is faster");
    }
}

void cara_doctor_note(cara_doctor *d) {
    if (d->unusable) {
        cara_checkup_add(d->checkup, "note", CARA_FINDING_SKIPPED,
                         "no voice note can be tried without a model");
        return;
    }
    int english = d->english_only || is_language(d->language, "en", "English");
    int comparable = english || !d->language || is_language(d->language, "es", "Spanish");
    const cara_note *note = &cara_notes[english ? CARA_NOTE_ENGLISH : CARA_NOTE_SPANISH];
    time_limit l = {.doctor = d, .end = cara_clock_monotonic() + cara_doctor_time(d, NOTE_S)};
    const cara_transcriber *t = d->transcriber;
    cara_error err = {.code = CARA_OK, .position = -1};
    const cara_encoded_audio encoded = {note->bytes, note->n, "ogg"};
    cara_resume resume = {0};
    cara_result *result = NULL;
    double begun = cara_clock_monotonic(), started = begun;
    int rc = t->prepare(t->ctx, should_stop, &l, &err);
    if (!rc)
        started = cara_clock_monotonic();
    if (!rc)
        rc = t->transcribe(t->ctx, &encoded, should_stop, &l, &resume, &result, &err);
    double seconds = cara_clock_monotonic() - started;
    if (rc && rc != CARA_ERR_CANCELLED) {
        cara_checkup_add(d->checkup, "note", CARA_FINDING_FAILURE,
                         "a voice note could not be transcribed: %s", err.text);
        if (rc == CARA_ERR_MEMORY)
            cara_checkup_advise(d->checkup, "there is too little memory for this model");
        return;
    }
    if (rc || result->cut_short) {
        cara_checkup_add(d->checkup, "note", CARA_FINDING_WARNING,
                         "transcribing a voice note of some 10 s was stopped after %.0f s",
                         cara_clock_monotonic() - begun);
        cara_checkup_advise(d->checkup, "%s",
                            d->memory_mb
                                ? "give the function more time, or more memory"
                                : "this machine is too slow for this model: take a smaller "
                                  "or an int8 one");
    } else {
        check_transcript(d, note, result->text, seconds, result->duration_s, comparable);
    }
    if (result)
        t->release(t->ctx, result);
}
