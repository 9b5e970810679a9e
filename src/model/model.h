/* The inside of a cara_model, for the model room and for `caracola model`. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/files/file.h"
#include "base/files/read_ahead.h"
#include "base/limits.h"
#include "base/memory/arena.h"
#include "model/dims.h"
#include "model/weights.h"

#define CARA_TENSOR_NAME_MAX 63
#define CARA_MODEL_MAX_TENSORS 16384 /* 256 + 256 layers have 9,995 */

typedef enum cara_tensor_kind {
    CARA_TENSOR_VECTOR,      /* biases, layer norms */
    CARA_TENSOR_MATRIX,      /* linear layers, the token embedding */
    CARA_TENSOR_CONVOLUTION, /* [out, in, 3] */
    CARA_TENSOR_POSITIONS,
} cara_tensor_kind;

/* One tensor that a model of given dims has: its name and shape, and the place in the weights where
 * it goes. */
typedef struct cara_tensor_entry {
    cara_tensor_kind kind;
    char name[CARA_TENSOR_NAME_MAX + 1];
    int n_dims;
    int64_t shape[4];
    cara_tensor *to;
    cara_slice stored; /* the file's bytes that `crc` is of */
    uint32_t crc;      /* CRC-32 as the file says it */
} cara_tensor_entry;

/* How to wait for weights, for a model whose memory is still being filled while it is in use. */
typedef struct cara_arrival {
    /* Returns once bytes [offset, offset + n) of the file are in memory and will not change, or a
     * negative code: the weights cannot be fetched (NETWORK, ...), or the transcription was
     * cancelled (CANCELLED). Called before each layer by the threads that own sessions, so it must
     * be thread-safe, and fast where the bytes have arrived. A failure ends that call of
     * cara_transcribe() alone: the next one calls it again. */
    int (*wait)(void *cookie, uint64_t offset, uint64_t n, cara_error *err);
    void *cookie;
} cara_arrival;

typedef enum cara_model_format {
    CARA_MODEL_FORMAT_PT = 1,
    CARA_MODEL_FORMAT_CARA = 2
} cara_model_format;

struct cara_model {
    cara_mapping file;
    int owns_file; /* it is unmapped with the model */
    cara_arena
        arena; /* all below that is not in the file; its limit follows from the file's size */
    cara_model_format format;
    cara_dims dims;
    char name[CARA_NAME_MAX + 1];
    cara_weights weights;
    cara_tensor_entry
        *entries; /* [n_entries] in order of execution; all are bound once a model is open */
    size_t n_entries;
    size_t next_entry;          /* where the search for a name begins */
    cara_alignment_head *heads; /* [n_heads] */
    size_t n_heads;
    cara_slice vocab;       /* the vocabulary inside the file; empty where it has none */
    const char *vocab_path; /* the file that the vocabulary came from, or NULL */
    cara_tokenizer *tokenizer;
    cara_read_ahead *ahead; /* of a file that was opened by its path; or NULL */
    cara_arrival arrival;   /* wait is NULL where all is there, or is fetched by being read */
};

/* ---- entries ---- */

/* Lists the tensors that model->dims asks for, in order of execution: entries, n_entries and the
 * layer arrays of the weights. dims must be checked. MEMORY. */
int cara_tensor_entries_make(cara_model *model, cara_error *err);

/* Puts `tensor` where `name` belongs. MODEL_SHAPE: no such tensor, another shape, or twice. */
int cara_tensor_entries_bind(cara_model *model, cara_slice name, const cara_tensor *tensor,
                             cara_slice stored, uint32_t crc, cara_error *err);

/* MODEL_SHAPE where a tensor is missing: names the first. */
int cara_tensor_entries_check_complete(const cara_model *model, cara_error *err);

/* ---- readers: model->file is mapped, all else zero but the arena's limit ---- */

int cara_pt_read(cara_model *model, const char *path, cara_error *err);
int cara_cara_read(cara_model *model, cara_error *err);

/* 1 where the bytes begin as a file of that kind. */
int cara_pt_is(cara_slice file);
int cara_cara_is(cara_slice file);

/* ---- the whole ---- */

/* As cara_model_open_without_vocab(), of bytes that stay the caller's and outlive the model. `path`
 * is for names only and may be NULL. */
int cara_model_open_bytes(cara_slice bytes, const char *path, cara_model **out, cara_error *err);

/* Bytes of a `.cara` before its weights, from its first 256: with so many a model can be opened,
 * which looks at no weight. -1 where the bytes are too few or no such file's. */
int64_t cara_cara_head_size(cara_slice start);
#define CARA_HEAD_MAX (64 * CARA_MIB) /* vocabulary and directory at their largest, and more */

/* To open a model whose weights are still being streamed:
 *
 *     the file's size and its first 256 bytes are known; memory for all of it is there
 *     the first cara_cara_head_size() bytes are read into it
 *     cara_model_open_bytes(whole memory, ...), cara_model_find_vocab(...)
 *     cara_model_set_arrival(model, (cara_arrival){wait, cookie})
 *     sessions, while other threads fill the memory in the file's order, which is that of use
 *
 * To be set before there are sessions; the memory, and what `wait` needs, outlive the model. */
void cara_model_set_arrival(cara_model *model, cara_arrival arrival);

/* Finds and reads the vocabulary: `vocab_path`, else the one inside, else beside `model_path`. */
int cara_model_find_vocab(cara_model *model, const char *model_path, const char *vocab_path,
                          cara_error *err);

/* How most weights are stored, in the words of --compute_type: "int8", "float16", "bfloat16",
 * "float32". Static. */
const char *cara_model_compute_type(const cara_model *model);

/* Reads all weights and compares them with the check sums that the file holds. MODEL_CORRUPT names
 * the first tensor that is damaged. CANCELLED where the callback (may be NULL) returns non-zero. */
int cara_model_check(const cara_model *model, cara_model_progress_fn progress, void *cookie,
                     cara_error *err);

/* How a written model's weights are stored; cara_convert_options names them. */
typedef enum cara_storage {
    CARA_STORAGE_AS_IS,    /* each tensor as it is */
    CARA_STORAGE_INT8,     /* matrices and convolutions in int8, the rest as it is */
    CARA_STORAGE_FLOAT16,  /* all in f16 but vectors, which stay as they are */
    CARA_STORAGE_BFLOAT16, /* matrices and convolutions in bf16, the rest as it is */
    CARA_STORAGE_FLOAT32,  /* all in f32 */
} cara_storage;

/* Row `row` (see cara_tensor_row()) of entries[entry] as f32; called by several threads. */
typedef void (*cara_row_fn)(const void *ctx, size_t entry, size_t row, float *out);

typedef struct cara_write_options {
    const char *name; /* of at most CARA_NAME_MAX bytes, or NULL for the model's own */
    int replace;      /* without it, a file that is there is a CONFLICT */
    cara_storage storage;
    int threads;                     /* 0: as many as this process may run on */
    cara_model_progress_fn progress; /* called by the calling thread; may be NULL */
    void *cookie;
    cara_row_fn rows; /* where weights come from; NULL: the model's own tensors */
    const void *rows_ctx;
} cara_write_options;

/* Writes the model as a `.cara` file, whole or not at all. Equal models, names and storage give
 * equal bytes, however many threads there are. The model must have its vocabulary. Errors: USAGE
 * (bad name), VOCAB, CONFLICT, IO, MEMORY, CANCELLED. */
int cara_model_write(const cara_model *model, const cara_write_options *options, const char *path,
                     cara_error *err);

/* ---- random models ---- */

/* Writes a model of a published shape ("tiny.en" ... "large-v3-turbo") with random weights of
 * standard deviation 1 / sqrt(fan-in), a vocabulary of filler that fits, and the name
 * "random-SHAPE" unless the options give one. The same shape, seed and storage give the same bytes
 * on every machine. CARA_STORAGE_AS_IS is f16 with f32 vectors. Errors: USAGE (no such shape), and
 * those of cara_model_write(). */
int cara_model_write_random(const char *shape, uint64_t seed, const cara_write_options *options,
                            const char *path, cara_error *err);

#endif
