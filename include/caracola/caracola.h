/* libcaracola: Whisper in C. The whole public interface.
 *
 *     cara_model *model = NULL;
 *     cara_session *session = NULL;
 *     cara_audio *audio = NULL;
 *     cara_result *result = NULL;
 *     cara_error err;
 *     if (cara_model_open("medium.cara", NULL, &model, &err) ||
 *         cara_session_new(model, NULL, &session, &err) ||
 *         cara_audio_open_file("note.ogg", NULL, &audio, &err) ||
 *         cara_transcribe(session, cara_audio_source(audio), NULL, &result, &err))
 *         fprintf(stderr, "%s\n", err.text);
 *     else
 *         puts(result->text);
 *     cara_result_free(result);
 *     cara_audio_close(audio);
 *     cara_session_free(session);
 *     cara_model_close(model);
 *
 * A model is shared by threads; a session, and an audio, is used by one thread at a time. NULL for
 * a pointer that must not be NULL is answered with CARA_ERR_USAGE.
 *
 * The library prints nothing and has no global state. */
#ifndef CARACOLA_CARACOLA_H
#define CARACOLA_CARACOLA_H

#include <caracola/audio.h>
#include <caracola/error.h>
#include <caracola/model.h>
#include <caracola/result.h>
#include <caracola/transcribe.h>
#include <caracola/version.h>
#include <caracola/writers.h>

#endif
