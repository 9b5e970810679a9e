/* int8 beside float: word errors on the nano voices at every level of this machine, and the
 * encoder's error on a random model beside that of simulated rounding to nearest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model.h"
#include "npy.h"
#include "whisper/mel/mel.h"
#include "whisper/network/encoder.h"
#include "whisper/network/quantise.h"

#include <caracola/caracola.h>

#include <ctype.h>
#include <dirent.h>

#define MAX_NOTES 100
#define MAX_WORDS 512

/* ---- word errors ---- */

typedef struct words {
    char text[8192];
    const char *at[MAX_WORDS];
    int n;
} words;

/* Lower case without punctuation; the letters beyond ASCII stay as they are. */
static void split(const char *text, words *w) {
    size_t to = 0;
    int in_word = 0;
    w->n = 0;
    for (; *text && to + 4 < sizeof w->text; text++) {
        unsigned char c = (unsigned char)*text;
        int mark = c == 0xC2 && ((unsigned char)text[1] == 0xBF || (unsigned char)text[1] == 0xA1);
        if (mark)
            text++;
        if (isspace(c)) {
            if (in_word)
                w->text[to++] = 0;
            in_word = 0;
        } else if (!mark && (c >= 0x80 || isalnum(c))) {
            if (!in_word) {
                assert_true(w->n < MAX_WORDS);
                w->at[w->n++] = w->text + to;
            }
            in_word = 1;
            w->text[to++] = (char)tolower(c);
        }
    }
    w->text[to] = 0;
}

/* Levenshtein's distance in words. */
static int errors(const words *a, const words *b) {
    int row[MAX_WORDS + 1];
    for (int j = 0; j <= b->n; j++)
        row[j] = j;
    for (int i = 1; i <= a->n; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= b->n; j++) {
            int swap = corner + (strcmp(a->at[i - 1], b->at[j - 1]) != 0);
            corner = row[j];
            int best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = swap < best ? swap : best;
        }
    }
    return row[b->n];
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

/* Names of the voices, without ".ogg", in order. */
static int notes(char (*names)[64]) {
    DIR *d = opendir(fixture("nano/voices"));
    assert_non_null(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        size_t length = strlen(e->d_name);
        if (length < 5 || length > 60 || strcmp(e->d_name + length - 4, ".ogg") != 0)
            continue;
        assert_true(n < MAX_NOTES);
        memcpy(names[n], e->d_name, length - 4);
        names[n++][length - 4] = 0;
    }
    closedir(d);
    qsort(names, (size_t)n, sizeof *names, by_name);
    assert_true(n > 20);
    return n;
}

static int errors_of(cara_session *session, const char *note, int *n_words) {
    static words want, got;
    char name[256], text[8192];
    cara_error err;
    snprintf(name, sizeof name, "nano/voices/%s.txt", note);
    FILE *f = fopen(fixture(name), "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    split(text, &want);
    snprintf(name, sizeof name, "nano/voices/%s.ogg", note);
    cara_audio *audio = NULL;
    cara_result *result = NULL;
    cara_options options;
    cara_options_default(&options, sizeof options);
    options.n_temperatures = 1;
    if (cara_audio_open_file(fixture(name), NULL, &audio, &err) ||
        cara_transcribe(session, cara_audio_source(audio), &options, &result, &err))
        fail_msg("%s: %s", note, err.text);
    split(result->text, &got);
    cara_result_free(result);
    cara_audio_close(audio);
    *n_words += want.n;
    return errors(&want, &got);
}

/* Percent of wrong words in `most` notes from the note `first` on. */
static double error_rate(const cara_model *model, const char *level, const char *type, int first,
                         int most) {
    static char names[MAX_NOTES][64];
    int n = notes(names), wrong = 0, n_words = 0;
    cara_error err;
    cara_session *session;
    if (cara_session_new(model,
                         &(cara_session_options){.struct_size = sizeof(cara_session_options),
                                                 .cpu_level = level,
                                                 .compute_type = type},
                         &session, &err))
        fail_msg("%s", err.text);
    for (int i = first; i < n && i < first + most; i++)
        wrong += errors_of(session, names[i], &n_words);
    cara_session_free(session);
    print_message("%s %s: %d of %d words wrong\n", level, type, wrong, n_words);
    return 100.0 * wrong / n_words;
}

/* Which levels transcribe the voices: this machine's best and AVX2, or all of them. */
static int every_level;

static int is_tested(cara_cpu_level level) {
    return cara_cpu_has(level) &&
           (every_level || level == CARA_CPU_AVX2 || level == cara_cpu_detect());
}

static void int8_transcribes_as_well_as_float(void **state) {
    (void)state;
    char vocab[4096];
    cara_error err;
    cara_model *model;
    snprintf(vocab, sizeof vocab, "%s", fixture("nano/nano.tiktoken"));
    if (cara_model_open(fixture("nano/nano.pt"), vocab, &model, &err))
        fail_msg("%s", err.text);
    const char *best = cara_cpu_level_name(cara_cpu_detect());
    int all = cara_cpu_detect() == CARA_CPU_SCALAR ? 2 : MAX_NOTES;
    double reference = error_rate(model, best, "float32", 0, all);
    for (int i = CARA_CPU_SCALAR + 1; i < CARA_CPU_LEVELS; i++) {
        if (!is_tested((cara_cpu_level)i))
            continue;
        double rate = error_rate(model, cara_cpu_level_name((cara_cpu_level)i), "int8", 0, all);
        assert_true(rate <= reference + 0.3);
    }
    /* The slow level takes few notes, so not the first: en-00 ends in a tie of two tokens
     * (test_transcripts.c), which int8 decides one way or the other. */
    double few = error_rate(model, best, "float32", 1, 3);
    assert_true(error_rate(model, "scalar", "int8", 1, 3) <= few + 0.3);
    cara_session *session;
    assert_int_equal(
        cara_session_new(model,
                         &(cara_session_options){.struct_size = sizeof(cara_session_options),
                                                 .compute_type = "int7"},
                         &session, &err),
        CARA_ERR_USAGE);
    assert_null(session);
    cara_model_close(model);
}

/* ---- the encoder's error on the voices ---- */

#define NOTES_STEP 8       /* every eighth note */
#define STATES_APART 0.011 /* bytes of activations are measured at 0.0092, 10 bits at 0.0057 */

/* Log-mel of a note's first window. */
static void mel_of(const cara_mel_tables *tables, const char *note, float *mel) {
    char name[256];
    cara_error err;
    cara_audio *audio = NULL;
    cara_mel_stream *stream = NULL;
    snprintf(name, sizeof name, "nano/voices/%.64s.ogg", note);
    if (cara_audio_open_file(fixture(name), NULL, &audio, &err) ||
        cara_mel_stream_open(tables, cara_audio_source(audio), NULL, &stream, &err) ||
        cara_mel_stream_window(stream, 0,
                               cara_mel_stream_content_frames(stream) < CARA_N_FRAMES
                                   ? cara_mel_stream_content_frames(stream)
                                   : CARA_N_FRAMES,
                               mel, &err))
        fail_msg("%s: %s", note, err.text);
    cara_mel_stream_close(stream);
    cara_audio_close(audio);
}

/* Root mean square of int8's states less float's, as a share of float's, over some notes. */
static void voices_are_encoded_nearly_as_in_float(void **state) {
    (void)state;
    static char names[MAX_NOTES][64];
    int n_notes = notes(names);
    cara_error err;
    cara_model *model;
    if (cara_model_open_without_vocab(fixture("nano/nano.pt"), &model, &err))
        fail_msg("%s", err.text);
    const cara_dims *dims = cara_model_dims(model);
    size_t n = (size_t)dims->n_audio_ctx * (size_t)dims->n_audio_state;
    float *mel = malloc(sizeof *mel * (size_t)dims->n_mels * CARA_N_FRAMES);
    float *plain = malloc(n * sizeof *plain), *got = malloc(n * sizeof *got);
    cara_mel_tables *tables;
    assert_true(mel && plain && got);
    assert_int_equal(cara_mel_tables_new(dims->n_mels, &tables, &err), CARA_OK);
    cara_compute compute = {
        .model = model, .kernels = cara_kernels_for(cara_cpu_detect()), .pool = cara_pool_new(2)};
    for (int level = CARA_CPU_SCALAR + 1; level < CARA_CPU_LEVELS; level++) {
        if (!cara_cpu_has((cara_cpu_level)level))
            continue;
        cara_compute rounded = compute;
        cara_encoder *exact, *e;
        cara_quantised *q;
        double apart = 0, all = 0;
        rounded.kernels = cara_kernels_for((cara_cpu_level)level);
        assert_int_equal(cara_quantise(&rounded, &q, &err), CARA_OK);
        rounded.weights = cara_quantised_weights(q);
        assert_int_equal(cara_encoder_new(&compute, &exact, &err), CARA_OK);
        assert_int_equal(cara_encoder_new(&rounded, &e, &err), CARA_OK);
        for (int i = 0; i < n_notes; i += NOTES_STEP) {
            mel_of(tables, names[i], mel);
            assert_int_equal(cara_encoder_run(exact, mel, plain, &err), CARA_OK);
            assert_int_equal(cara_encoder_run(e, mel, got, &err), CARA_OK);
            for (size_t j = 0; j < n; j++) {
                apart += ((double)got[j] - (double)plain[j]) * ((double)got[j] - (double)plain[j]);
                all += (double)plain[j] * (double)plain[j];
            }
        }
        double share = sqrt(apart / all);
        print_message("%s: error %.3f %% of the states\n",
                      cara_cpu_level_name((cara_cpu_level)level), 100 * share);
        assert_true(share > 0 && share <= STATES_APART);
        cara_encoder_free(exact);
        cara_encoder_free(e);
        cara_quantised_free(q);
    }
    cara_pool_free(compute.pool);
    cara_mel_tables_free(tables);
    free(mel);
    free(plain);
    free(got);
    cara_model_close(model);
}

/* ---- the encoder's error ---- */

enum { MELS = 80, CTX = 120, STATE = 256, HEAD = 4, LAYER = 3, TEXT = 64 };

static uint64_t seed = 1;

static double uniform(void) { /* (0, 1) */
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return ((double)(seed >> 11) + 0.5) / 9007199254740992.0;
}

static float normal(double deviation) {
    return (float)(deviation * sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()));
}

/* Weights of standard deviation 1 / sqrt(fan-in); norms of 1 and 0. */
static void fill(cara_tensor_entry *entry, cara_arena *arena) {
    size_t n = 1;
    for (int i = 0; i < entry->n_dims; i++)
        n *= (size_t)entry->shape[i];
    float *data = cara_arena_alloc(arena, n, sizeof *data);
    assert_non_null(data);
    int is_weight = strstr(entry->name, "weight") != NULL;
    for (size_t i = 0; i < n; i++)
        data[i] = entry->n_dims > 1 ? normal(1 / sqrt((double)n / (double)entry->shape[0]))
                  : strstr(entry->name, "ln") && is_weight ? 1.0f
                                                           : normal(0.02);
    *entry->to = (cara_tensor){.data = data, .dtype = CARA_F32, .n_dims = entry->n_dims};
    memcpy(entry->to->shape, entry->shape, sizeof entry->shape);
}

/* Each of n floats to the nearest of 255 steps. */
static void round_row(const float *x, size_t n, float *y) {
    float top = 0;
    for (size_t i = 0; i < n; i++)
        top = fmaxf(top, fabsf(x[i]));
    for (size_t i = 0; i < n; i++)
        y[i] = top > 0 ? rintf(x[i] * 127 / top) * top / 127 : 0;
}

/* c [m, n] = a . w^T + bias, both sides rounded where `rounded`. */
static void linear(const cara_linear *l, const float *a, size_t m, size_t k, int rounded,
                   float *c) {
    size_t n = (size_t)l->weight.shape[0];
    const float *w = l->weight.data, *bias = l->bias.data;
    float *wr = malloc(n * k * sizeof *wr), *ar = malloc(m * k * sizeof *ar);
    assert_true(wr && ar);
    for (size_t j = 0; j < n; j++)
        if (rounded)
            round_row(w + j * k, k, wr + j * k);
        else
            memcpy(wr + j * k, w + j * k, k * sizeof *wr);
    for (size_t i = 0; i < m; i++)
        if (rounded)
            round_row(a + i * k, k, ar + i * k);
        else
            memcpy(ar + i * k, a + i * k, k * sizeof *ar);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = bias ? bias[j] : 0;
            for (size_t p = 0; p < k; p++)
                sum += (double)ar[i * k + p] * (double)wr[j * k + p];
            c[i * n + j] = (float)sum;
        }
    free(wr);
    free(ar);
}

static void gelu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(0.5 * x[i] * (1 + erf(x[i] * sqrt(0.5))));
}

static void norm(const cara_layer_norm *ln, const float *x, size_t m, float *y) {
    const float *weight = ln->weight.data, *bias = ln->bias.data;
    for (size_t i = 0; i < m; i++, x += STATE, y += STATE) {
        double mean = 0, var = 0;
        for (int c = 0; c < STATE; c++)
            mean += x[c] / (double)STATE;
        for (int c = 0; c < STATE; c++)
            var += (x[c] - mean) * (x[c] - mean) / STATE;
        for (int c = 0; c < STATE; c++)
            y[c] = (float)((x[c] - mean) / sqrt(var + 1e-5)) * weight[c] + bias[c];
    }
}

static void attend(const float *q, const float *k, const float *v, float *out) {
    enum { D = STATE / HEAD };
    static double p[CTX];
    for (size_t h = 0; h < HEAD; h++)
        for (size_t i = 0; i < CTX; i++) {
            double top = -1e30, sum = 0;
            for (size_t j = 0; j < CTX; j++) {
                p[j] = 0;
                for (size_t c = h * D; c < h * D + D; c++)
                    p[j] += (double)q[i * STATE + c] * (double)k[j * STATE + c];
                p[j] /= sqrt(D);
                top = fmax(top, p[j]);
            }
            for (size_t j = 0; j < CTX; j++)
                sum += p[j] = exp(p[j] - top);
            for (size_t c = h * D; c < h * D + D; c++) {
                double x = 0;
                for (size_t j = 0; j < CTX; j++)
                    x += p[j] * (double)v[j * STATE + c];
                out[i * STATE + c] = (float)(x / sum);
            }
        }
}

static void add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void gather(const float *src, size_t channel, size_t frame, size_t channels, size_t frames,
                   size_t stride, size_t rows, float *dst) {
    for (size_t t = 0; t < rows; t++)
        for (size_t c = 0; c < channels; c++)
            for (size_t tap = 0; tap < 3; tap++) {
                size_t f = stride * t + tap;
                dst[(t * channels + c) * 3 + tap] =
                    f < 1 || f > frames ? 0 : src[c * channel + (f - 1) * frame];
            }
}

/* AudioEncoder in plain sums. The first convolution is never rounded, as in quantise.h. */
static void simulate(const cara_weights *w, const float *mel, int rounded, float *out) {
    enum { N = CTX * STATE };
    static float windows[2 * CTX * 3 * STATE], one[2 * N], x[N], n[N], q[N], k[N], v[N],
        wide[4 * N];
    gather(mel, 2 * CTX, 1, MELS, 2 * CTX, 1, 2 * CTX, windows);
    linear(&w->conv1, windows, 2 * CTX, 3 * MELS, 0, one);
    gelu(one, 2 * N);
    gather(one, 1, STATE, STATE, 2 * CTX, 2, CTX, windows);
    linear(&w->conv2, windows, CTX, 3 * STATE, rounded, x);
    gelu(x, N);
    add(x, w->enc_positions.data, N);
    for (int i = 0; i < LAYER; i++) {
        const cara_encoder_layer *l = &w->encoder[i];
        norm(&l->attn_ln, x, CTX, n);
        linear(&l->attn.query, n, CTX, STATE, rounded, q);
        linear(&l->attn.key, n, CTX, STATE, rounded, k);
        linear(&l->attn.value, n, CTX, STATE, rounded, v);
        attend(q, k, v, n);
        linear(&l->attn.out, n, CTX, STATE, rounded, q);
        add(x, q, N);
        norm(&l->mlp_ln, x, CTX, n);
        linear(&l->mlp_0, n, CTX, STATE, rounded, wide);
        gelu(wide, 4 * N);
        linear(&l->mlp_2, wide, CTX, 4 * STATE, rounded, q);
        add(x, q, N);
    }
    norm(&w->ln_post, x, CTX, out);
}

static double apart(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / (double)n);
}

static void encoder_is_as_near_as_rounding_allows(void **state) {
    (void)state;
    enum { N = CTX * STATE };
    static float mel[MELS * 2 * CTX], exact[N], rounded[N], got[N], plain[N];
    cara_error err;
    cara_model model = {.dims = {MELS, CTX, STATE, HEAD, LAYER, 100, 16, TEXT, 1, 1}};
    cara_arena_init(&model.arena, SIZE_MAX / 2);
    assert_int_equal(cara_tensor_entries_make(&model, &err), CARA_OK);
    for (size_t i = 0; i < model.n_entries; i++)
        fill(&model.entries[i], &model.arena);
    for (size_t i = 0; i < MELS * 2 * CTX; i++)
        mel[i] = normal(0.5);
    simulate(&model.weights, mel, 0, exact);
    simulate(&model.weights, mel, 1, rounded);
    double allowed = apart(rounded, exact, N);
    for (int level = 0; level < CARA_CPU_LEVELS; level++) {
        if (!cara_cpu_has((cara_cpu_level)level))
            continue;
        cara_compute compute = {.model = &model,
                                .kernels = cara_kernels_for((cara_cpu_level)level),
                                .pool = cara_pool_new(2)};
        cara_encoder *e;
        assert_int_equal(cara_encoder_new(&compute, &e, &err), CARA_OK);
        assert_int_equal(cara_encoder_run(e, mel, plain, &err), CARA_OK);
        cara_encoder_free(e);
        assert_true(apart(plain, exact, N) < 1e-4);
        cara_quantised *q;
        assert_int_equal(cara_quantise(&compute, &q, &err), CARA_OK);
        compute.weights = cara_quantised_weights(q);
        assert_int_equal(cara_encoder_new(&compute, &e, &err), CARA_OK);
        assert_int_equal(cara_encoder_run(e, mel, got, &err), CARA_OK);
        double error = apart(got, exact, N);
        print_message("%s: error %.5f, of rounding alone %.5f\n",
                      cara_cpu_level_name((cara_cpu_level)level), error, allowed);
        assert_true(error <= 1.1 * allowed);
        assert_true(error > 0);
        /* Threads change nothing, be there more of them than tiles of rows. */
        static const int threads[] = {1, 5, 40};
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
            cara_compute other = compute;
            cara_encoder *same;
            other.pool = cara_pool_new(threads[i]);
            assert_int_equal(cara_encoder_new(&other, &same, &err), CARA_OK);
            assert_int_equal(cara_encoder_run(same, mel, plain, &err), CARA_OK);
            assert_memory_equal(plain, got, sizeof got);
            cara_encoder_free(same);
            cara_pool_free(other.pool);
        }
        cara_encoder_free(e);
        cara_quantised_free(q);
        cara_pool_free(compute.pool);
    }
    cara_arena_free(&model.arena);
}

/* With the argument "words" it transcribes all voices, which takes a minute; "words all" at every
 * level.
 */
int main(int argc, char **argv) {
    const struct CMUnitTest voices[] = {
        cmocka_unit_test(int8_transcribes_as_well_as_float),
    };
    const struct CMUnitTest encoder[] = {
        cmocka_unit_test(encoder_is_as_near_as_rounding_allows),
        cmocka_unit_test(voices_are_encoded_nearly_as_in_float),
    };
    every_level = argc > 2 && !strcmp(argv[2], "all");
    if (argc > 1 && !strcmp(argv[1], "words"))
        return cmocka_run_group_tests(voices, NULL, NULL);
    return cmocka_run_group_tests(encoder, NULL, NULL);
}
