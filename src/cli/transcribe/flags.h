/* The flags of `caracola transcribe`: those of openai's `whisper` command, and a few of ours. */
#ifndef CLI_TRANSCRIBE_FLAGS_H
#define CLI_TRANSCRIBE_FLAGS_H

#include "cli/cli.h"

#include <caracola/transcribe.h>
#include <caracola/writers.h>

typedef struct cara_transcribe_flags {
    const char *model; /* NULL: see cara_cli_model_file() */
    const char *vocab;
    const char *draft_model;  /* NULL: none */
    int draft_tokens;         /* 0: as many as seem to pay */
    const char *output_dir;   /* "." where only a format was given */
    unsigned formats;         /* bit f for cara_transcript_format f: files to write; 0: none */
    int recursive;            /* folders stand for the audio in them */
    int skip_existing;        /* leaves out what has its files already */
    int json;                 /* JSON on standard output */
    int verbose;              /* segments with their times on standard output */
    int quiet;                /* errors only on standard error */
    double max_seconds;       /* of one audio; 0: the default limit */
    int audio_track;          /* of several sound tracks, from 1; 0: the one that ffmpeg takes */
    const char *input_format; /* of sound without a header; NULL: by the file's name */
    int threads;
    int batch_size;           /* files at once; 0: not given */
    const char *compute_type; /* static; NULL: default */
    int language_named;       /* --language was given */
    cara_options options;
    cara_transcript_options subtitles; /* of VTT and SRT, with word times */
    int first_file;                    /* argv[first_file .. argc) are the files */
} cara_transcribe_flags;

/* The table of flags, and what the words for their values mean. */
extern const cara_cli_option cara_transcribe_options[];
extern const cara_cli_value cara_transcribe_values[];

/* 0, or -1 where the command is to end with *status. */
int cara_transcribe_flags_parse(const cara_cli_command *command, int argc, char **argv,
                                cara_transcribe_flags *flags, int *status);

#endif
