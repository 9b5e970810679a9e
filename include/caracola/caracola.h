/* libcaracola: Whisper in C. The whole public interface.
 *
 *     cara_model *model; cara_session *session; cara_audio *audio; cara_result *result;
 *     cara_error err; cara_options options;
 *     cara_options_default(&options, sizeof options);
 *     if (cara_model_open("medium.cara", NULL, &model, &err) ||
 *         cara_session_new(model, NULL, &session, &err) ||
 *         cara_audio_open_file("note.ogg", NULL, &audio, &err) ||
 *         cara_transcribe(session, cara_audio_source(audio), &options, &result, &err))
 *         fprintf(stderr, "%s\n", err.text);
 *     else
 *         puts(result->text);
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
