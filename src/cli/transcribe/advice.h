/* Flags of whisper.cpp, openai's whisper, faster-whisper and whisper-ctranslate2 that are none
 * here, with what to write in their place. */
#ifndef CLI_TRANSCRIBE_ADVICE_H
#define CLI_TRANSCRIBE_ADVICE_H

#include "cli/command.h"

extern const cara_cli_advice cara_transcribe_advice[];

#endif
