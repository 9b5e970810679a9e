#include "cli/transcribe/flags.h"

#include "app/settings/environment.h"
#include "tokenizer/language.h"
#include "transcript/transcript.h"

#include <caracola/audio.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum flag {
    MODEL,
    VOCAB,
    DRAFT_MODEL,
    DRAFT_TOKENS,
    OUTPUT_DIR,
    OUTPUT_FORMAT,
    RECURSIVE,
    SKIP_EXISTING,
    JSON,
    VERBOSE,
    QUIET,
    TASK,
    LANGUAGE,
    LANGUAGE_DETECTION_SEGMENTS,
    LANGUAGE_DETECTION_THRESHOLD,
    MULTILINGUAL,
    TEMPERATURE,
    BEST_OF,
    BEAM_SIZE,
    PATIENCE,
    LENGTH_PENALTY,
    REPETITION_PENALTY,
    NO_REPEAT_NGRAM_SIZE,
    MAX_NEW_TOKENS,
    SUPPRESS_TOKENS,
    PREFIX,
    INITIAL_PROMPT,
    CARRY_INITIAL_PROMPT,
    CONDITION_ON_PREVIOUS_TEXT,
    PROMPT_RESET_ON_TEMPERATURE,
    TEMPERATURE_INCREMENT,
    COMPRESSION_RATIO_THRESHOLD,
    LOGPROB_THRESHOLD,
    NO_SPEECH_THRESHOLD,
    CLIP_TIMESTAMPS,
    AUDIO_CTX,
    SEED,
    AUDIO_TRACK,
    INPUT_FORMAT,
    MAX_SECONDS,
    THREADS,
    BATCH_SIZE,
    COMPUTE_TYPE,
    DEVICE,
    FP16,
    WORD_TIMESTAMPS,
    PREPEND_PUNCTUATIONS,
    APPEND_PUNCTUATIONS,
    HIGHLIGHT_WORDS,
    MAX_LINE_WIDTH,
    MAX_LINE_COUNT,
    MAX_WORDS_PER_LINE,
    HALLUCINATION_SILENCE_THRESHOLD,
    N_FLAGS
} flag;

const cara_cli_option cara_transcribe_options[N_FLAGS + 1] = {
    [MODEL] = {"model", 'm', "MODEL",
               "a .cara or .pt model (default: $CARACOLA_MODEL, else the\n"
               "demo model)"},
    [VOCAB] = {"vocab", 0, "VOCAB",
               "the .tiktoken vocabulary of a .pt model (default: the one\n"
               "beside it)"},
    [DRAFT_MODEL] = {"draft-model", 0, "MODEL",
                     "a smaller model of the same vocabulary: it proposes tokens,\n"
                     "the model verifies them; the same text, often sooner"},
    [DRAFT_TOKENS] = {"draft-tokens", 0, "N",
                      "proposed tokens at a time, 1 to 7; 0: chosen while running\n"
                      "(default: 0)"},
    [OUTPUT_DIR] = {"output-dir", 'o', "DIR", "write files into DIR, not text to standard output"},
    [OUTPUT_FORMAT] = {"output-format", 'f', "FORMATS",
                       "write files: txt, vtt, srt, tsv, json, several joined by commas,\n"
                       "or all of these (default: all where --output_dir is given);\n"
                       "csv: one table of all audio, transcripts.csv"},
    [RECURSIVE] = {"recursive", 'r', NULL, "of a folder, transcribe the audio in it and below it"},
    [SKIP_EXISTING] = {"skip-existing", 0, NULL,
                       "leave out audio whose files are all there, and whole"},
    [JSON] = {"json", 0, NULL, "a JSON object for each file on standard output, one a line"},
    [VERBOSE] = {"verbose", 0, "BOOL",
                 "True: each segment with its times on standard output as it\n"
                 "is transcribed (default: False)"},
    [QUIET] = {"quiet", 'q', NULL, "nothing but errors on standard error"},
    [TASK] = {"task", 0, "TASK", "transcribe, or translate into English (default: transcribe)"},
    [LANGUAGE] = {"language", 'l', "LANG|None",
                  "the language spoken, as a code or an English name\n"
                  "(default: None, detect it)"},
    [LANGUAGE_DETECTION_SEGMENTS] = {"language-detection-segments", 0, "N",
                                     "windows of 30 s that the language may be detected in\n"
                                     "(default: 1)"},
    [LANGUAGE_DETECTION_THRESHOLD] = {"language-detection-threshold", 0, "NUMBER",
                                      "the first of them that is more probable decides, else the\n"
                                      "language of most (default: 0.5)"},
    [MULTILINGUAL] = {"multilingual", 0, "BOOL",
                      "detect the language of each window (default: False)"},
    [TEMPERATURE] = {"temperature", 0, "NUMBER", "of the first attempt at a window (default: 0)"},
    [BEST_OF] = {"best-of", 0, "N|None", "candidates when temperature is above 0 (default: 5)"},
    [BEAM_SIZE] = {"beam-size", 0, "N|None",
                   "beams when temperature is 0, up to 64; None: greedy (default:\n"
                   "None)"},
    [PATIENCE] = {"patience", 0, "NUMBER|None",
                  "how many times the beams in ended sequences are waited for;\n"
                  "None: once (default: None)"},
    [LENGTH_PENALTY] = {"length-penalty", 0, "NUMBER|None",
                        "0 to 1, to rank candidates and beams; None: simple length\n"
                        "normalisation (default: None)"},
    [REPETITION_PENALTY] = {"repetition-penalty", 0, "NUMBER",
                            "above 1 makes tokens that came before less likely (default: 1)"},
    [NO_REPEAT_NGRAM_SIZE] = {"no-repeat-ngram-size", 0, "N",
                              "so many tokens in a row come only once in a window; 0: as\n"
                              "often as they do (default: 0)"},
    [MAX_NEW_TOKENS] = {"max-new-tokens", 0, "N|None",
                        "most tokens of a window; None: half the context of the model\n"
                        "(default: None)"},
    [SUPPRESS_TOKENS] = {"suppress-tokens", 0, "IDS",
                         "token ids joined by commas, -1 for the non-speech set\n"
                         "(default: -1)"},
    [PREFIX] = {"prefix", 0, "TEXT", "text that each window begins with, which is not written"},
    [INITIAL_PROMPT] = {"initial-prompt", 0, "TEXT",
                        "text before the first window, to hint at names and spelling"},
    [CARRY_INITIAL_PROMPT] = {"carry-initial-prompt", 0, "BOOL",
                              "put that text before every window (default: False)"},
    [CONDITION_ON_PREVIOUS_TEXT] = {"condition-on-previous-text", 0, "BOOL",
                                    "give each window the text of the one before (default:\n"
                                    "True)"},
    [PROMPT_RESET_ON_TEMPERATURE] = {"prompt-reset-on-temperature", 0, "NUMBER",
                                     "text decoded above it is not given to the next window\n"
                                     "(default: 0.5)"},
    [TEMPERATURE_INCREMENT] = {"temperature-increment-on-fallback", 0, "NUMBER|None",
                               "added at each further attempt up to 1; None: a single\n"
                               "attempt (default: 0.2)"},
    [COMPRESSION_RATIO_THRESHOLD] = {"compression-ratio-threshold", 0, "NUMBER|None",
                                     "try again where the text compresses more than this\n"
                                     "(default: 2.4)"},
    [LOGPROB_THRESHOLD] = {"logprob-threshold", 0, "NUMBER|None",
                           "try again where the average log probability is below this\n"
                           "(default: -1.0)"},
    [NO_SPEECH_THRESHOLD] = {"no-speech-threshold", 0, "NUMBER|None",
                             "silence where the no-speech probability is above this and\n"
                             "the log probability too low (default: 0.6)"},
    [CLIP_TIMESTAMPS] = {"clip-timestamps", 0, "TIMES",
                         "start,end,start,... in seconds: transcribe only these parts\n"
                         "(default: 0)"},
    [AUDIO_CTX] = {"audio-ctx", 0, "N|auto|full",
                   "full: windows of 30 s, as openai's command; auto: no longer\n"
                   "than the audio and 4 s more, faster for short notes, with\n"
                   "other words now and then; or 1 to 1500 positions of 20 ms,\n"
                   "but never less than the audio (default: full)"},
    [SEED] = {"seed", 0, "N", "of the sampling above temperature 0 (default: 0)"},
    [AUDIO_TRACK] = {"audio-track", 0, "N",
                     "of several sound tracks the one to read, counted from 0 as in\n"
                     "ffmpeg's 0:a:N (default: the one that ffmpeg takes)"},
    [INPUT_FORMAT] = {"input-format", 0, "FORMAT",
                      "of sound without a header, on - or in a file of another name:\n"
                      "gsm, ulaw, alaw, sln (8 kHz, mono), g722, sln16 (16 kHz), or\n"
                      "sln12 to sln192; other sound is recognised by its bytes"},
    [MAX_SECONDS] = {"max-seconds", 0, "NUMBER", "refuse audio that is longer (default: 86400)"},
    [THREADS] = {"threads", 't', "N", "0: as many as this process may use (default: 0)"},
    [BATCH_SIZE] = {"batch-size", 0, "N",
                    "files to transcribe at once, 1 to 16: while several decode, weights\n"
                    "are read once for all; same text, more memory (default: 4)"},
    [COMPUTE_TYPE] = {"compute-type", 0, "TYPE",
                      "default: as the model's weights are; int8, float32\n"
                      "(default: default)"},
    [DEVICE] = {"device", 0, "cpu", "accepted, as openai's command has it"},
    [FP16] = {"fp16", 0, "BOOL", "accepted, and changes nothing"},
    [WORD_TIMESTAMPS] = {"word-timestamps", 0, "BOOL",
                         "find when each word was said, and write it into JSON and\n"
                         "subtitles (default: False)"},
    [PREPEND_PUNCTUATIONS] = {"prepend-punctuations", 0, "TEXT",
                              "marks that belong to the next word (default: \"'“¿([{-)"},
    [APPEND_PUNCTUATIONS] = {"append-punctuations", 0, "TEXT",
                             "marks that belong to the word before (default:\n"
                             "\"'.。,，!！?？:：”)]}、)"},
    [HIGHLIGHT_WORDS] = {"highlight-words", 0, "BOOL",
                         "underline each word in srt and vtt as it is said; needs\n"
                         "--word_timestamps True (default: False)"},
    [MAX_LINE_WIDTH] = {"max-line-width", 0, "N|None",
                        "most characters of a line in srt and vtt; needs\n"
                        "--word_timestamps True (default: None)"},
    [MAX_LINE_COUNT] = {"max-line-count", 0, "N|None",
                        "most lines of a subtitle; needs --max_line_width (default:\n"
                        "None)"},
    [MAX_WORDS_PER_LINE] = {"max-words-per-line", 0, "N|None",
                            "most words of a subtitle; needs --word_timestamps True and no\n"
                            "--max_line_width (default: None)"},
    [HALLUCINATION_SILENCE_THRESHOLD] = {"hallucination-silence-threshold", 0, "NUMBER|None",
                                         "seconds: skip longer silence around words that may be\n"
                                         "invented; needs --word_timestamps True (default: None)"},
};

const cara_cli_value cara_transcribe_values[] = {
    {"FORMATS", CARA_CLI_LIST, "txt vtt srt tsv json csv all", NULL},
    {"FORMAT", CARA_CLI_CHOICE,
     "gsm ulaw alaw g722 sln sln12 sln16 sln24 sln32 sln44 sln48 sln96 sln192", NULL},
    {"TASK", CARA_CLI_CHOICE, "transcribe translate", NULL},
    {"LANG|None", CARA_CLI_LANGUAGE, "None", NULL},
    {"TYPE", CARA_CLI_CHOICE, "default float32 int8", NULL},
    {"N|auto|full", CARA_CLI_NUMBER, "auto full", NULL},
    {"cpu", CARA_CLI_CHOICE, "cpu", NULL},
    {"IDS", CARA_CLI_TEXT, NULL, NULL},
    {"TIMES", CARA_CLI_TEXT, NULL, NULL},
    {NULL, CARA_CLI_TEXT, NULL, NULL},
};

/* np.arange(temperature, 1.0 + 1e-6, increment), as openai's command builds its ladder. */
static int build_ladder(cara_options *o, double temperature, int no_increment, double increment) {
    o->temperature[0] = temperature;
    o->n_temperatures = 1;
    if (no_increment)
        return 0;
    for (int i = 1; temperature + i * increment < 1.0 + 1e-6; i++) {
        if (i == CARA_MAX_TEMPERATURES) {
            cara_cli_fail(CARA_EXIT_USAGE,
                          "--temperature_increment_on_fallback %g gives more than %d temperatures "
                          "from %g to 1; give a larger one, or None",
                          increment, CARA_MAX_TEMPERATURES, temperature);
            return -1;
        }
        o->temperature[i] = temperature + i * increment;
        o->n_temperatures++;
    }
    return 0;
}

/* Numbers joined by commas; `whole` for token ids. */
static int is_number_list(const char *text, int whole) {
    for (const char *p = text; *p;) {
        char *end = NULL;
        double value = whole ? (double)strtol(p, &end, 10) : strtod(p, &end);
        if (end == p || !isfinite(value) || (*end != ',' && *end != '\0'))
            return 0;
        if (!whole && value < 0)
            return 0;
        if (*end == ',' && end[1] == '\0')
            return 0;
        p = *end ? end + 1 : end;
    }
    return 1;
}

/* A threshold: a number, or None as NaN. */
static int optional_number(const cara_cli_args *args, double min, double max, double *out) {
    int none = 0;
    if (cara_cli_double(args, min, max, &none, out) != 0)
        return -1;
    if (none)
        *out = NAN;
    return 0;
}

/* A number of 1 or more, or None as 0. */
static int optional_count(const cara_cli_args *args, int most, int *out) {
    int none = 0;
    int64_t number = 0;
    int rc = cara_cli_int(args, 1, most, &none, &number);
    *out = none ? 0 : (int)number;
    return rc;
}

static int optional_size(const cara_cli_args *args, size_t *out) {
    int number = 0, rc = optional_count(args, 1000000, &number);
    *out = (size_t)number;
    return rc;
}

static int set_language(const cara_cli_args *args, cara_transcribe_flags *flags) {
    flags->language_named = strcmp(args->value, "None") != 0;
    flags->options.language = NULL;
    if (!flags->language_named)
        return 0;
    int at = cara_language_find(args->value);
    if (at < 0)
        return cara_cli_bad_value(args, "a language's code or English name, such as es or Spanish, "
                                        "or None");
    flags->options.language = cara_language_code(at);
    return 0;
}

/* openai's five; a table has to be asked for. */
#define ALL_FORMATS                                                                                \
    (1U << CARA_TRANSCRIPT_TXT | 1U << CARA_TRANSCRIPT_VTT | 1U << CARA_TRANSCRIPT_SRT |           \
     1U << CARA_TRANSCRIPT_TSV | 1U << CARA_TRANSCRIPT_JSON)

/* Names joined by commas. */
static int set_formats(const cara_cli_args *args, cara_transcribe_flags *flags) {
    flags->formats = 0;
    for (const char *p = args->value;; p++) {
        char name[8] = "";
        size_t n = strcspn(p, ",");
        if (n < sizeof name)
            memcpy(name, p, n);
        int format = cara_transcript_format_find(name);
        if (format < 0 && strcmp(name, "all") != 0)
            return cara_cli_bad_value(args, "txt, vtt, srt, tsv, json, csv or all, or several of "
                                            "them joined by commas");
        flags->formats |= format < 0 ? ALL_FORMATS : 1U << format;
        p += n;
        if (!*p)
            return 0;
    }
}

typedef struct ladder {
    double temperature, increment;
    int no_increment;
} ladder;

static int set(const cara_cli_args *args, flag which, cara_transcribe_flags *flags, ladder *steps) {
    static const char *const compute_types[] = {"default", "float32", "int8"}; /* as TYPE */
    cara_options *o = &flags->options;
    int none = 0, value = 0, rc = 0;
    int64_t number = 0;
    switch (which) {
    case MODEL:
        flags->model = args->value;
        return 0;
    case VOCAB:
        flags->vocab = args->value;
        return 0;
    case DRAFT_MODEL:
        flags->draft_model = args->value;
        return 0;
    case DRAFT_TOKENS:
        rc = cara_cli_int(args, 0, 7, NULL, &number);
        flags->draft_tokens = (int)number;
        return rc;
    case OUTPUT_DIR:
        flags->output_dir = *args->value ? args->value : ".";
        return 0;
    case OUTPUT_FORMAT:
        return set_formats(args, flags);
    case RECURSIVE:
        flags->recursive = 1;
        return 0;
    case SKIP_EXISTING:
        flags->skip_existing = 1;
        return 0;
    case JSON:
        flags->json = 1;
        return 0;
    case VERBOSE:
        return cara_cli_bool(args, &flags->verbose);
    case QUIET:
        flags->quiet = 1;
        return 0;
    case TASK:
        rc = cara_cli_choice(args, &value);
        o->task = value ? CARA_TRANSLATE : CARA_TRANSCRIBE;
        return rc;
    case LANGUAGE:
        return set_language(args, flags);
    case TEMPERATURE:
        return cara_cli_double(args, 0, HUGE_VAL, NULL, &steps->temperature);
    case BEST_OF:
        return optional_count(args, 64, &o->best_of);
    case BEAM_SIZE:
        return optional_count(args, 64, &o->beam_size);
    case PATIENCE:
        return optional_number(args, 0.01, 100, &o->patience);
    case REPETITION_PENALTY:
        return cara_cli_double(args, 0.001, 1e6, NULL, &o->repetition_penalty);
    case NO_REPEAT_NGRAM_SIZE:
        rc = cara_cli_int(args, 0, 448, NULL, &number);
        o->no_repeat_ngram_size = (int)number;
        return rc;
    case MAX_NEW_TOKENS:
        return optional_count(args, 448, &o->sample_len);
    case PREFIX:
        o->prefix = args->value;
        return 0;
    case PROMPT_RESET_ON_TEMPERATURE:
        return cara_cli_double(args, 0, HUGE_VAL, NULL, &o->prompt_reset_on_temperature);
    case LANGUAGE_DETECTION_SEGMENTS:
        rc = cara_cli_int(args, 1, 1000000, NULL, &number);
        o->language_detection_segments = (int)number;
        return rc;
    case LANGUAGE_DETECTION_THRESHOLD:
        return cara_cli_double(args, 0, 1, NULL, &o->language_detection_threshold);
    case MULTILINGUAL:
        return cara_cli_bool(args, &o->multilingual);
    case LENGTH_PENALTY:
        return optional_number(args, 0, 1, &o->length_penalty);
    case SUPPRESS_TOKENS:
        o->suppress_tokens = args->value;
        return is_number_list(args->value, 1)
                   ? 0
                   : cara_cli_bad_value(args, "token ids joined by commas, such as -1 or 13,14");
    case INITIAL_PROMPT:
        o->initial_prompt = args->value;
        return 0;
    case CARRY_INITIAL_PROMPT:
        return cara_cli_bool(args, &o->carry_initial_prompt);
    case CONDITION_ON_PREVIOUS_TEXT:
        return cara_cli_bool(args, &o->condition_on_previous_text);
    case TEMPERATURE_INCREMENT:
        return cara_cli_double(args, 0.001, HUGE_VAL, &steps->no_increment, &steps->increment);
    case COMPRESSION_RATIO_THRESHOLD:
        return optional_number(args, -HUGE_VAL, HUGE_VAL, &o->compression_ratio_threshold);
    case LOGPROB_THRESHOLD:
        return optional_number(args, -HUGE_VAL, HUGE_VAL, &o->logprob_threshold);
    case NO_SPEECH_THRESHOLD:
        return optional_number(args, -HUGE_VAL, HUGE_VAL, &o->no_speech_threshold);
    case CLIP_TIMESTAMPS:
        o->clip_timestamps = args->value;
        return is_number_list(args->value, 0)
                   ? 0
                   : cara_cli_bad_value(args, "seconds joined by commas, such as 0 or 2.5,10,60");
    case AUDIO_CTX:
        return cara_audio_ctx_parse(args->value, &o->audio_ctx)
                   ? cara_cli_bad_value(args, "auto, full, or a whole number from 1 to 1500")
                   : 0;
    case SEED:
        rc = cara_cli_int(args, 0, INT64_MAX, NULL, &number);
        o->seed = (uint64_t)number;
        return rc;
    case AUDIO_TRACK:
        rc = cara_cli_int(args, 0, 255, NULL, &number);
        flags->audio_track = (int)number + 1;
        return rc;
    case INPUT_FORMAT:
        flags->input_format = args->value;
        return cara_audio_is_input_format(args->value)
                   ? 0
                   : cara_cli_bad_value(args, "one of gsm, ulaw, alaw, g722, sln, sln12, sln16, "
                                              "sln24, sln32, sln44, sln48, sln96, sln192");
    case MAX_SECONDS:
        return cara_cli_double(args, 0.001, 1e9, NULL, &flags->max_seconds);
    case THREADS:
        rc = cara_cli_int(args, 0, 256, &none, &number);
        flags->threads = (int)number;
        return rc;
    case BATCH_SIZE:
        rc = cara_cli_int(args, 1, CARA_MAX_SESSIONS, NULL, &number);
        flags->batch_size = (int)number;
        return rc;
    case COMPUTE_TYPE:
        rc = cara_cli_choice(args, &value);
        flags->compute_type = rc == 0 ? compute_types[value] : NULL;
        return rc;
    case DEVICE:
        return cara_cli_choice(args, &value);
    case FP16:
        rc = cara_cli_bool(args, &value);
        if (rc == 0 && value && !flags->quiet)
            cara_cli_remark("--fp16 True changes nothing here: this CPU computes in its own types");
        return rc;
    case WORD_TIMESTAMPS:
        return cara_cli_bool(args, &o->word_timestamps);
    case PREPEND_PUNCTUATIONS:
        o->prepend_punctuations = args->value;
        return 0;
    case APPEND_PUNCTUATIONS:
        o->append_punctuations = args->value;
        return 0;
    case HIGHLIGHT_WORDS:
        return cara_cli_bool(args, &flags->subtitles.highlight_words);
    case MAX_LINE_WIDTH:
        return optional_size(args, &flags->subtitles.max_line_width);
    case MAX_LINE_COUNT:
        return optional_size(args, &flags->subtitles.max_line_count);
    case MAX_WORDS_PER_LINE:
        return optional_size(args, &flags->subtitles.max_words_per_line);
    case HALLUCINATION_SILENCE_THRESHOLD:
        return optional_number(args, 0, 1e6, &o->hallucination_silence_threshold);
    case N_FLAGS:
        return 0;
    }
    return 0;
}

/* What cli() of whisper/transcribe.py says of the flags that need word times. */
static int check_words(const cara_transcribe_flags *flags) {
    const cara_transcript_options *s = &flags->subtitles;
    const char *needs = s->highlight_words      ? "--highlight_words"
                        : s->max_line_count     ? "--max_line_count"
                        : s->max_line_width     ? "--max_line_width"
                        : s->max_words_per_line ? "--max_words_per_line"
                                                : NULL;
    if (needs && !flags->options.word_timestamps) {
        cara_cli_fail(CARA_EXIT_USAGE, "%s needs --word_timestamps True", needs);
        return -1;
    }
    if (flags->quiet)
        return 0;
    if (s->max_line_count && !s->max_line_width)
        cara_cli_remark("--max_line_count has no effect without --max_line_width");
    if (s->max_words_per_line && s->max_line_width)
        cara_cli_remark("--max_words_per_line has no effect with --max_line_width");
    if (flags->options.word_timestamps && flags->options.task == CARA_TRANSLATE)
        cara_cli_remark("the times of words in a translation may be wrong: they follow the speech");
    return 0;
}

/* A draft model proposes one sequence, and beams are several. */
static int check_beams(const cara_transcribe_flags *flags) {
    if (!flags->options.beam_size && !isnan(flags->options.patience)) {
        cara_cli_fail(CARA_EXIT_USAGE, "--patience needs --beam_size");
        return -1;
    }
    if (!flags->options.beam_size || !flags->draft_model)
        return 0;
    cara_cli_fail(CARA_EXIT_USAGE,
                  "--draft_model proposes tokens to greedy decoding; give it without --beam_size");
    return -1;
}

int cara_transcribe_flags_parse(const cara_cli_command *command, int argc, char **argv,
                                cara_transcribe_flags *flags, int *status) {
    memset(flags, 0, sizeof *flags);
    cara_options_default(&flags->options, sizeof flags->options);
    cara_transcript_options_default(&flags->subtitles, sizeof flags->subtitles);
    flags->options.best_of = 5; /* the command's default; the library's is None */
    ladder steps = {.temperature = 0.0, .increment = 0.2};
    *status = CARA_EXIT_USAGE;

    cara_cli_args args;
    cara_cli_args_init(&args, command, argc, argv);
    for (;;) {
        int which = cara_cli_args_next(&args);
        if (which == CARA_CLI_END)
            break;
        if (which < 0) {
            *status = which == CARA_CLI_HELP ? CARA_EXIT_OK : CARA_EXIT_USAGE;
            return -1;
        }
        if (set(&args, (flag)which, flags, &steps) != 0)
            return -1;
    }
    if (build_ladder(&flags->options, steps.temperature, steps.no_increment, steps.increment) != 0)
        return -1;
    if (check_words(flags) != 0 || check_beams(flags) != 0)
        return -1;
    if (flags->json && flags->verbose) {
        cara_cli_fail(CARA_EXIT_USAGE, "--json and --verbose True both claim standard output; "
                                       "give one of them");
        return -1;
    }
    if (flags->output_dir && !flags->formats)
        flags->formats = ALL_FORMATS;
    if (!flags->output_dir)
        flags->output_dir = ".";
    if (flags->skip_existing && !flags->formats) {
        cara_cli_fail(CARA_EXIT_USAGE, "--skip_existing looks for files, and none are written; "
                                       "give --output_dir or --output_format too");
        return -1;
    }
    flags->first_file = args.operands;
    if (args.operands == argc) {
        cara_cli_fail(CARA_EXIT_USAGE,
                      "transcribe takes audio files, or - for standard input; got none");
        return -1;
    }
    return 0;
}
