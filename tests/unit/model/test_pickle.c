#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory/buf.h"
#include "model/pt/pickle.h"
#include "pt_make.h"
#include "scratch.h"

/* A string literal with its length, zeros and all. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static int read_pickle(const char *bytes, size_t n, cara_arena *arena, cara_pickle **root,
                       cara_error *err) {
    /* An exact copy on the heap, so that the sanitizers see any byte too many. */
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n)
        memcpy(copy, bytes, n);
    int rc = cara_pickle_read(cara_slice_of(copy, n), arena, root, err);
    if (rc)
        free(copy);
    else
        (*root)->position = (size_t)(uintptr_t)copy; /* kept for the caller to free */
    return rc;
}

static void pickled_code_is_never_run(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } cases[] = {
        {BYTES("\x80\x02"
               "cos\nsystem\nX\x02\0\0\0id\x85R."),
         "os.system"},
        {BYTES("\x80\x02"
               "cposix\nsystem\nX\x02\0\0\0id\x85R."),
         "posix.system"},
        {BYTES("\x80\x02"
               "cbuiltins\neval\n."),
         "builtins.eval"},
        {BYTES("\x80\x02"
               "c__builtin__\nexec\n."),
         "__builtin__.exec"},
        {BYTES("\x80\x02"
               "ctorch.storage\n_load_from_bytes\n."),
         "_load_from_bytes"},
        {BYTES("\x80\x02"
               "ctorch._utils\n_rebuild_tensor_v2.__globals__\n."),
         "__globals__"},
        {BYTES("\x80\x02"
               "ctorch\n_utils._rebuild_tensor_v2\n."),
         "torch._utils._rebuild"},
        {BYTES("\x80\x04\x8c\x02os\x8c\x06system\x93."), "os.system"},
        {BYTES("\x80\x04"
               "X\x02\0\0\0osX\x06\0\0\0system\x93."),
         "os.system"},
        {BYTES("\x80\x02(X\x02\0\0\0idios\nsystem\n."), "instruction 0x69"}, /* INST */
        {BYTES("(S'id'\nios\nsystem\n."), "instruction 0x53"},
        {BYTES("\x80\x02"
               "ccollections\nOrderedDict\n)\x81."),
         "instruction 0x81"}, /* NEWOBJ */
        {BYTES("\x80\x02"
               "ccollections\nOrderedDict\n)}\x92."),
         "instruction 0x92"},
        {BYTES("\x80\x02(o."), "instruction 0x6f"},       /* OBJ */
        {BYTES("\x80\x02\x82\x01."), "instruction 0x82"}, /* EXT1 */
        {BYTES("\x80\x02Pabc\n."), "instruction 0x50"},   /* PERSID */
        {BYTES("\x80\x05\x97."), "instruction 0x97"},     /* NEXT_BUFFER */
        {BYTES("\x80\x01}."), "protocol 1"},
        {BYTES("\x80\x06}."), "protocol 6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 1 << 20);
        cara_pickle *root;
        cara_error err = {0};
        assert_int_equal(read_pickle(cases[i].bytes, cases[i].n, &arena, &root, &err),
                         CARA_ERR_MODEL_FORMAT);
        assert_null(root);
        says(&err, cases[i].says);
        cara_arena_free(&arena);
    }
    /* The same through cara_model_open(). */
    pt_spec spec = {.dims = pt_tiny_dims, .pickle = cases[0].bytes, .pickle_n = cases[0].n};
    pt_write(&spec, in_scratch("attack.pt"));
    cara_model *m;
    cara_error err;
    assert_int_equal(cara_model_open_without_vocab(in_scratch("attack.pt"), &m, &err),
                     CARA_ERR_MODEL_FORMAT);
    says(&err, "attack.pt: the model's pickle asks for os.system");
}

static void malformed_pickles_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {BYTES("")},
        {BYTES(".")},
        {BYTES("\x80")},
        {BYTES("\x80\x02")},
        {BYTES("\x80\x02}")},
        {BYTES("\x80\x02}}.")}, /* two left over */
        {BYTES("\x80\x02(.")},  /* a mark left over */
        {BYTES("\x80\x02}(.")},
        {BYTES("\x80\x02t.")},               /* TUPLE without mark */
        {BYTES("\x80\x02K\x01\x86.")},       /* TUPLE2 of one */
        {BYTES("\x80\x02K\x01(K\x01\x86.")}, /* TUPLE2 over a mark */
        {BYTES("\x80\x02u.")},
        {BYTES("\x80\x02(u.")},
        {BYTES("\x80\x02}(K\x01u.")},          /* odd */
        {BYTES("\x80\x02](K\x01K\x02u.")},     /* items into a list */
        {BYTES("\x80\x02K\x01(K\x01K\x02u.")}, /* into a number */
        {BYTES("\x80\x02}(e.")},               /* APPENDS to a dict */
        {BYTES("\x80\x02}(K\x01s.")},          /* SETITEM over a mark */
        {BYTES("\x80\x02}K\x01(s.")},
        {BYTES("\x80\x02s.")},
        {BYTES("\x80\x02](a.")},
        {BYTES("\x80\x02"
               "a.")},
        {BYTES("\x80\x02q\x01.")}, /* BINPUT of nothing */
        {BYTES("\x80\x02(q\x01.")},
        {BYTES("\x80\x02h\x01.")}, /* BINGET of nothing */
        {BYTES("\x80\x02}q\x05h\x04.")},
        {BYTES("\x80\x02j\xff\xff\xff\xff.")},
        {BYTES("\x80\x02}r\xff\xff\xff\xff.")},
        {BYTES("\x80\x02}r\0\0\x04\0.")}, /* one beyond the last */
        {BYTES("\x80\x02Q.")},
        {BYTES("\x80\x02(Q.")},
        {BYTES("\x80\x02R.")},
        {BYTES("\x80\x02}R.")},
        {BYTES("\x80\x02)}R.")},
        {BYTES("\x80\x02}}R.")},
        {BYTES("\x80\x02"
               "b.")},
        {BYTES("\x80\x02}b.")},
        {BYTES("\x80\x02]}b.")},
        {BYTES("\x80\x02\x93.")},
        {BYTES("\x80\x02}}\x93.")},
        {BYTES("\x80\x02"
               "ctorch")},
        {BYTES("\x80\x02"
               "ctorch\nHalf")},
        {BYTES("\x80\x02X\xff\xff\xff\xff"
               "a.")},
        {BYTES("\x80\x02X\x05\0\0\0abcd")},
        {BYTES("\x80\x02U\x05"
               "abcd")},
        {BYTES("\x80\x02\x8a\x09"
               "123456789.")},
        {BYTES("\x80\x02\x8a\xff.")},
        {BYTES("\x80\x02G1234567")},
        {BYTES("\x80\x02J123")},
        {BYTES("\x80\x02"
               "ccollections\nOrderedDict\n(K\x01tR.")},
        {BYTES("\x80\x02"
               "ctorch._utils\n_rebuild_parameter\n)R.")},
        {BYTES("\x80\x02"
               "ctorch\nHalfStorage\n)R.")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cara_arena arena;
        cara_arena_init(&arena, 8 << 20);
        cara_pickle *root;
        cara_error err = {0};
        int rc = read_pickle(cases[i].bytes, cases[i].n, &arena, &root, &err);
        if (rc != CARA_ERR_MODEL_CORRUPT)
            fail_msg("case %zu: code %d", i, rc);
        assert_null(root);
        cara_arena_free(&arena);
    }
}

static void values_are_read(void **state) {
    (void)state;
    cara_arena arena;
    cara_arena_init(&arena, 1 << 20);
    cara_pickle *root;
    cara_error err;
    static const char bytes[] = "\x80\x04\x95\0\0\0\0\0\0\0\0}\x94("
                                "\x8c\x01"
                                "a"
                                "\x94J\xfe\xff\xff\xff" /* -2 */
                                "X\x01\0\0\0b"
                                "\x8a\x02\x00\xff" /* -256 */
                                "U\x01"
                                "c"
                                "G\x3f\xf8\0\0\0\0\0\0" /* 1.5 */
                                "X\x01\0\0\0d"
                                "(K\x07M\x01\x02t"
                                "X\x01\0\0\0e"
                                "](\x88Ne"
                                "X\x01\0\0\0f"
                                "\x8a\0"
                                "X\x01\0\0\0a"
                                "K\x05"
                                "h\x01"
                                "K\x09"
                                "u.";
    if (read_pickle(BYTES(bytes), &arena, &root, &err))
        fail_msg("%s", err.text);
    assert_int_equal(root->type, CARA_PICKLE_DICT);
    assert_int_equal(cara_pickle_get(root, "a")->integer, 9); /* the last one counts */
    assert_int_equal(root->items[1]->integer, -2);
    assert_int_equal(cara_pickle_get(root, "b")->integer, -256);
    assert_true(cara_pickle_get(root, "c")->real == 1.5);
    assert_int_equal(cara_pickle_get(root, "d")->n, 2);
    assert_int_equal(cara_pickle_get(root, "d")->items[1]->integer, 0x201);
    assert_int_equal(cara_pickle_get(root, "e")->items[0]->type, CARA_PICKLE_BOOL);
    assert_int_equal(cara_pickle_get(root, "e")->items[1]->type, CARA_PICKLE_NONE);
    assert_int_equal(cara_pickle_get(root, "f")->integer, 0);
    assert_null(cara_pickle_get(root, "g"));
    free((void *)(uintptr_t)root->position);
    cara_arena_free(&arena);
}

/* Depth, repetition and self-reference cost memory that is bounded, and no stack. */
static void hostile_pickles_use_bounded_memory(void **state) {
    (void)state;
    static const struct {
        const char *unit;
        size_t n;
        int rc;
    } cases[] = {
        {BYTES("("), CARA_ERR_MODEL_CORRUPT}, /* marks */
        {BYTES("]"), CARA_ERR_MEMORY},        /* values */
        {BYTES("]\x85"
               "0"),
         CARA_ERR_MODEL_FORMAT},
        {BYTES("\x85"), CARA_ERR_MEMORY},    /* ((((...)))) */
        {BYTES("2"), CARA_ERR_MODEL_FORMAT}, /* DUP */
        {BYTES("h\0\x86"), CARA_ERR_MEMORY}, /* a tree of shared twos */
        {BYTES("h\0a"), CARA_ERR_MEMORY},    /* a list within itself, for ever */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cara_buf b;
        cara_buf_init(&b, 4 << 20);
        cara_buf_str(&b, "\x80\x02]q");
        cara_buf_add(&b, "\0", 1);
        while (cara_buf_add(&b, cases[i].unit, cases[i].n) == 0)
            ;
        cara_arena arena;
        cara_arena_init(&arena, 8 << 20);
        cara_pickle *root;
        cara_error err;
        assert_int_equal(cara_pickle_read(cara_slice_of(b.data, b.len), &arena, &root, &err),
                         cases[i].rc);
        assert_true(arena.used <= 8 << 20);
        cara_arena_free(&arena);
        cara_buf_free(&b);
    }
}

/* Well-formed pickles that are no checkpoint. */
static void other_checkpoints_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } cases[] = {
        {BYTES("\x80\x02}."), "no \"dims\""},
        {BYTES("\x80\x02]."), "no \"dims\""},
        {BYTES("\x80\x02N."), "no \"dims\""},
        {BYTES("\x80\x02}(X\x04\0\0\0dims}X\x10\0\0\0model_state_dict]u."), "no \"dims\""},
        {BYTES("\x80\x02}(X\x04\0\0\0dimsK\x01X\x10\0\0\0model_state_dict}u."), "no \"dims\""},
        {BYTES("\x80\x02}(X\x04\0\0\0dims}X\x10\0\0\0model_state_dict}u."),
         "lack the number n_mels"},
        {BYTES("\x80\x02}(X\x04\0\0\0dims}(X\x06\0\0\0n_melsGAAAAAAAAuX\x10\0\0\0model_state_dict}"
               "u."),
         "lack the number n_mels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pt_spec spec = {.dims = pt_tiny_dims, .pickle = cases[i].bytes, .pickle_n = cases[i].n};
        pt_write(&spec, in_scratch("other.pt"));
        cara_model *m;
        cara_error err;
        assert_int_equal(cara_model_open_without_vocab(in_scratch("other.pt"), &m, &err),
                         CARA_ERR_MODEL_FORMAT);
        says(&err, cases[i].says);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pickled_code_is_never_run),
        cmocka_unit_test(malformed_pickles_are_refused),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(hostile_pickles_use_bounded_memory),
        cmocka_unit_test(other_checkpoints_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
