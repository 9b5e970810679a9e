/* The long part of an audio message: claim its record, fetch, keep, check, transcribe, complete. */
#ifndef PIPELINE_AUDIO_MESSAGE_H
#define PIPELINE_AUDIO_MESSAGE_H

#include "pipeline/pipeline.h"

/* The message is in the store under `key` already (at least as pending). Sets report->outcome,
 * stage, audio_seconds and no_speech; fills *err where the outcome is FAILED or RETRY. */
void cara_audio_message(const cara_pipeline *pipeline, const cara_inbox_message *message,
                        const char *key, cara_report *report, cara_error *err);

#endif
