/* The `.cara` file, version 1. docs/model-files.md describes it for other programs; all numbers are
 * little-endian.
 *
 *     header       256 bytes
 *     directory    n_tensors entries of 160 bytes          each of these begins at the first
 *     heads        n_heads pairs of int32 (layer, head)     multiple of 64 behind the last;
 *     suppress     n_suppress int32                         what lies between is zero
 *     vocabulary   the tiktoken rank file
 *     data         at the first multiple of 4096; each tensor at a multiple of 64
 */
#ifndef MODEL_CARA_FORMAT_H
#define MODEL_CARA_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define CARA_FILE_MAGIC                                                                            \
    "\x89"                                                                                         \
    "CARA\r\n\x1a" /* as PNG's: damaged by text transfers */
#define CARA_FILE_VERSION 1u
#define CARA_FILE_ALIGN 64u
#define CARA_FILE_PAGE 4096u

/* Offsets in the header. */
enum {
    CARA_H_MAGIC = 0,             /* 8 bytes */
    CARA_H_VERSION = 8,           /* u32 */
    CARA_H_HEADER_SIZE = 12,      /* u32: 256 */
    CARA_H_FILE_SIZE = 16,        /* u64 */
    CARA_H_CRC = 24,              /* u32: CRC-32 of all before the data, this field taken as 0 */
    CARA_H_FLAGS = 28,            /* u32: 0 */
    CARA_H_DIMS = 32,             /* 10 i32, in the order of cara_dims */
    CARA_H_NAME = 72,             /* 40 bytes, padded with zeros, at least one */
    CARA_H_TENSORS = 112,         /* u64 offset */
    CARA_H_N_TENSORS = 120,       /* u32 */
    CARA_H_ENTRY_SIZE = 124,      /* u32: 160 */
    CARA_H_VOCAB = 128,           /* u64 offset */
    CARA_H_VOCAB_SIZE = 136,      /* u64 bytes */
    CARA_H_HEADS = 144,           /* u64 offset */
    CARA_H_N_HEADS = 152,         /* u32 */
    CARA_H_IS_MULTILINGUAL = 156, /* u32 */
    CARA_H_SUPPRESS = 160,        /* u64 offset */
    CARA_H_N_SUPPRESS = 168,      /* u32 */
    CARA_H_N_LANGUAGES = 172,     /* u32 */
    CARA_H_SPECIALS = 176,        /* 10 i32, in the order of cara_special_tokens */
    CARA_H_DATA = 216,            /* u64 offset */
    CARA_H_DATA_SIZE = 224,       /* u64 bytes */
    CARA_H_RESERVED = 232,        /* zeros to the end */
    CARA_HEADER_SIZE = 256,
};

/* Offsets in a directory entry. */
enum {
    CARA_E_NAME = 0,         /* 64 bytes, padded with zeros, at least one */
    CARA_E_DTYPE = 64,       /* u32: cara_dtype */
    CARA_E_LAYOUT = 68,      /* u32: cara_layout */
    CARA_E_N_DIMS = 72,      /* u32: 1..4 */
    CARA_E_CRC = 76,         /* u32: CRC-32 of its data, scales and sums */
    CARA_E_SHAPE = 80,       /* 4 i64; unused ones are 0 */
    CARA_E_OFFSET = 112,     /* u64, from the start of the file */
    CARA_E_SIZE = 120,       /* u64 bytes */
    CARA_E_SCALE = 128,      /* i8: u64 offset of the scales, right behind the data; else 0 */
    CARA_E_SCALE_SIZE = 136, /* u64 bytes */
    CARA_E_SUM = 144,        /* i8: u64 offset of the sums, right behind the scales; else 0 */
    CARA_E_SUM_SIZE = 152,   /* u64 bytes */
    CARA_ENTRY_SIZE = 160,
};

#endif
