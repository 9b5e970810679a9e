/* The opcodes are those of Python's pickletools; the list holds what torch.save() writes for
 * dictionaries of tensors in protocols 2 to 5. */
#include "model/pt/pickle.h"

#include "model/bytes.h"

#include <string.h>

#define MAX_STACK 65536u
#define MAX_MEMO 262144u

typedef cara_pickle value;

typedef struct machine {
    cara_slice in;
    size_t at;     /* next byte */
    size_t opcode; /* position of the opcode at work */
    cara_arena *arena;
    value **stack; /* [cap]; a NULL is a mark */
    size_t n, cap;
    value **memo; /* [memo_cap]; NULL where nothing was put */
    size_t memo_n, memo_cap;
    cara_error *err;
} machine;

/* All that a pickle may name: the arguments of _rebuild_tensor_v2, and the plain containers. */
static const char *const known_globals[] = {
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.FloatStorage",
    "torch.HalfStorage",
    "torch.BFloat16Storage",
    "torch.DoubleStorage",
    "torch.LongStorage",
    "torch.IntStorage",
    "torch.ShortStorage",
    "torch.CharStorage",
    "torch.ByteStorage",
    "torch.BoolStorage",
};

static int corrupt(machine *m, const char *what) {
    return cara_fail(m->err, CARA_ERR_MODEL_CORRUPT, (int64_t)m->opcode,
                     "the model's pickle %s at byte %zu; fetch or save the model again", what,
                     m->opcode);
}

static int no_memory(machine *m) {
    return cara_fail(m->err, CARA_ERR_MEMORY, (int64_t)m->opcode,
                     "the model's pickle takes more memory than a Whisper's may");
}

/* n bytes of argument, or NULL at the end. */
static const uint8_t *read_bytes(machine *m, size_t n) {
    if (m->in.len - m->at < n)
        return NULL;
    const uint8_t *p = m->in.ptr + m->at;
    m->at += n;
    return p;
}

/* Doubles an array of pointers in the arena; the old one is left to it. */
static int grow(machine *m, value ***array, size_t n, size_t *cap) {
    size_t more = *cap ? *cap * 2 : 8;
    value **bigger = cara_arena_alloc(m->arena, more, sizeof *bigger);
    if (!bigger)
        return no_memory(m);
    if (n)
        memcpy(bigger, *array, n * sizeof *bigger);
    *array = bigger;
    *cap = more;
    return CARA_OK;
}

static int push(machine *m, value *v) {
    if (m->n >= MAX_STACK)
        return corrupt(m, "nests too deep");
    if (m->n == m->cap && grow(m, &m->stack, m->n, &m->cap))
        return CARA_ERR_MEMORY;
    m->stack[m->n++] = v;
    return CARA_OK;
}

static value *make(machine *m, cara_pickle_type type) {
    value *v = cara_arena_alloc(m->arena, 1, sizeof *v);
    if (v) {
        v->type = type;
        v->position = m->opcode;
    }
    return v;
}

static int push_new(machine *m, value v) {
    value *copy = make(m, v.type);
    if (!copy)
        return no_memory(m);
    v.position = m->opcode;
    *copy = v;
    return push(m, copy);
}

static int push_int(machine *m, int64_t i) {
    return push_new(m, (value){.type = CARA_PICKLE_INT, .integer = i});
}

/* The top value, or NULL where it is a mark or nothing. */
static value *pop(machine *m) {
    return m->n && m->stack[m->n - 1] ? m->stack[--m->n] : NULL;
}

static int append(machine *m, value *to, value *item) {
    if (to->n == to->cap && grow(m, &to->items, to->n, &to->cap))
        return CARA_ERR_MEMORY;
    to->items[to->n++] = item;
    return CARA_OK;
}

/* The index of the first value above the last mark, or 0 without one (0 is never right: a mark lies
 * below). */
static size_t above_mark(const machine *m) {
    size_t at = m->n;
    while (at && m->stack[at - 1])
        at--;
    return at;
}

/* Replaces the top n values by a tuple of them. */
static int make_tuple(machine *m, size_t first) {
    value *tuple = make(m, CARA_PICKLE_TUPLE);
    if (!tuple)
        return no_memory(m);
    for (size_t i = first; i < m->n; i++)
        if (append(m, tuple, m->stack[i]))
            return CARA_ERR_MEMORY;
    m->n = first;
    return push(m, tuple);
}

static int push_string(machine *m, size_t n) {
    const uint8_t *p = read_bytes(m, n);
    if (!p)
        return corrupt(m, "ends inside a string");
    return push_new(m, (value){.type = CARA_PICKLE_STRING, .text = cara_slice_of(p, n)});
}

/* A name by its two parts; the known one's text is pushed. */
static int push_global(machine *m, cara_slice module, cara_slice name) {
    for (size_t i = 0; i < sizeof known_globals / sizeof known_globals[0]; i++) {
        const char *known = known_globals[i], *dot = strrchr(known, '.');
        if (module.len == (size_t)(dot - known) && memcmp(module.ptr, known, module.len) == 0 &&
            cara_slice_eq_str(name, dot + 1))
            return push_new(m, (value){.type = CARA_PICKLE_GLOBAL, .text = cara_slice_str(known)});
    }
    return cara_fail(
        m->err, CARA_ERR_MODEL_FORMAT, (int64_t)m->opcode,
        "the model's pickle asks for %.*s.%.*s, which is no part of a Whisper "
        "checkpoint and was not run; use a file from openai/whisper, or one saved with "
        "torch.save({\"dims\": ..., \"model_state_dict\": ...})",
        module.len > 80 ? 80 : (int)module.len, (const char *)module.ptr,
        name.len > 80 ? 80 : (int)name.len, (const char *)name.ptr);
}

/* GLOBAL: two lines. */
static int read_global(machine *m) {
    cara_slice parts[2];
    for (int i = 0; i < 2; i++) {
        size_t left = m->in.len - m->at;
        const uint8_t *start = m->in.ptr + m->at;
        const uint8_t *end = left ? memchr(start, '\n', left) : NULL;
        if (!end)
            return corrupt(m, "ends inside a name");
        parts[i] = cara_slice_of(start, (size_t)(end - start));
        m->at += parts[i].len + 1;
    }
    return push_global(m, parts[0], parts[1]);
}

static int stack_global(machine *m) {
    value *name = pop(m), *module = pop(m);
    if (!name || !module || name->type != CARA_PICKLE_STRING || module->type != CARA_PICKLE_STRING)
        return corrupt(m, "has a name that is no text");
    return push_global(m, module->text, name->text);
}

/* The three calls that a checkpoint holds. */
static int reduce(machine *m) {
    value *args = pop(m), *callee = pop(m);
    if (!args || !callee || args->type != CARA_PICKLE_TUPLE || callee->type != CARA_PICKLE_GLOBAL)
        return corrupt(m, "calls an unknown function");
    if (cara_slice_eq_str(callee->text, "torch._utils._rebuild_tensor_v2")) {
        value *tensor = make(m, CARA_PICKLE_TENSOR);
        if (!tensor)
            return no_memory(m);
        return append(m, tensor, args) ? CARA_ERR_MEMORY : push(m, tensor);
    }
    if (cara_slice_eq_str(callee->text, "torch._utils._rebuild_parameter")) {
        if (args->n < 1)
            return corrupt(m, "has a parameter without its tensor");
        return push(m, args->items[0]);
    }
    if (cara_slice_eq_str(callee->text, "collections.OrderedDict") && args->n == 0)
        return push_new(m, (value){.type = CARA_PICKLE_DICT});
    return corrupt(m, "calls a function with arguments that torch.save() never gives it");
}

/* SETITEMS, APPENDS and their single forms: values from `first` go into what lies under them. */
static int add_items(machine *m, size_t first, size_t below, cara_pickle_type type) {
    if (first < below + 1 || !m->stack[first - below - 1] ||
        m->stack[first - below - 1]->type != type ||
        (type == CARA_PICKLE_DICT && (m->n - first) % 2))
        return corrupt(m, "adds items to a value that is no list or dictionary");
    value *to = m->stack[first - below - 1];
    for (size_t i = first; i < m->n; i++) {
        if (!m->stack[i])
            return corrupt(m, "uses a mark as a value");
        if (append(m, to, m->stack[i]))
            return CARA_ERR_MEMORY;
    }
    m->n = first - below;
    return CARA_OK;
}

static int put(machine *m, size_t index) {
    if (!m->n || !m->stack[m->n - 1])
        return corrupt(m, "stores a memo entry without a value");
    if (index >= MAX_MEMO)
        return corrupt(m, "has too many memo entries");
    while (index >= m->memo_cap)
        if (grow(m, &m->memo, m->memo_cap, &m->memo_cap))
            return CARA_ERR_MEMORY;
    m->memo[index] = m->stack[m->n - 1];
    if (index >= m->memo_n)
        m->memo_n = index + 1;
    return CARA_OK;
}

static int get(machine *m, size_t index) {
    if (index >= m->memo_n || !m->memo[index])
        return corrupt(m, "reads a memo entry that does not exist");
    return push(m, m->memo[index]);
}

/* LONG1: a little-endian two's complement number of n bytes. */
static int push_long(machine *m, size_t n) {
    const uint8_t *p = read_bytes(m, n);
    if (!p || n > 8)
        return corrupt(m, "has a number that is too large");
    uint64_t u = n && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = n; i-- > 0;)
        u = u << 8 | p[i];
    int64_t i;
    memcpy(&i, &u, sizeof i);
    return push_int(m, i);
}

static int push_float(machine *m, const uint8_t *p) {
    uint64_t bits = 0; /* big-endian, the only one */
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    double real;
    memcpy(&real, &bits, sizeof real);
    return push_new(m, (value){.type = CARA_PICKLE_FLOAT, .real = real});
}

/* The bytes of argument that follow an opcode of fixed size. */
static size_t fixed_argument(uint8_t opcode) {
    switch (opcode) {
    case 0x80: /* PROTO */
    case 'K':  /* BININT1 */
    case 'q':  /* BINPUT */
    case 'h':  /* BINGET */
    case 'U':  /* SHORT_BINSTRING */
    case 0x8c: /* SHORT_BINUNICODE */
    case 0x8a: /* LONG1 */
        return 1;
    case 'M': /* BININT2 */
        return 2;
    case 'J': /* BININT */
    case 'r': /* LONG_BINPUT */
    case 'j': /* LONG_BINGET */
    case 'X': /* BINUNICODE */
        return 4;
    case 'G':  /* BINFLOAT */
    case 0x95: /* FRAME */
        return 8;
    default:
        return 0;
    }
}

static int step(machine *m, uint8_t opcode) {
    const uint8_t *p = read_bytes(m, fixed_argument(opcode));
    if (!p)
        return corrupt(m, "ends inside an instruction");
    size_t first;
    value *v;
    switch (opcode) {
    case 0x80:
        if (*p < 2 || *p > 5)
            return cara_fail(m->err, CARA_ERR_MODEL_FORMAT, (int64_t)m->opcode,
                             "the model's pickle has protocol %d; 2 to 5 are read", *p);
        return CARA_OK;
    case 0x95: /* a hint for readers of streams */
        return CARA_OK;
    case '}':
        return push_new(m, (value){.type = CARA_PICKLE_DICT});
    case ']':
        return push_new(m, (value){.type = CARA_PICKLE_LIST});
    case ')':
        return push_new(m, (value){.type = CARA_PICKLE_TUPLE});
    case 'N':
        return push_new(m, (value){.type = CARA_PICKLE_NONE});
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return push_new(m, (value){.type = CARA_PICKLE_BOOL, .integer = opcode == 0x88});
    case '(': /* MARK */
        return push(m, NULL);
    case 'K':
        return push_int(m, *p);
    case 'M':
        return push_int(m, cara_le16(p));
    case 'J':
        return push_int(m, (int64_t)cara_le32(p) - ((int64_t)(p[3] >> 7) << 32));
    case 0x8a:
        return push_long(m, *p);
    case 'G':
        return push_float(m, p);
    case 'U':
    case 0x8c:
        return push_string(m, *p);
    case 'X':
        return push_string(m, cara_le32(p));
    case 'q':
        return put(m, *p);
    case 'r':
        return put(m, cara_le32(p));
    case 0x94: /* MEMOIZE */
        return put(m, m->memo_n);
    case 'h':
        return get(m, *p);
    case 'j':
        return get(m, cara_le32(p));
    case 0x85: /* TUPLE1..3 */
    case 0x86:
    case 0x87:
        first = m->n - above_mark(m);
        if (first < opcode - 0x84u)
            return corrupt(m, "makes a tuple of more than there is");
        return make_tuple(m, m->n - (opcode - 0x84u));
    case 't': /* TUPLE */
        first = above_mark(m);
        if (!first)
            return corrupt(m, "makes a tuple without a mark");
        if (make_tuple(m, first))
            return CARA_ERR_MEMORY;
        v = m->stack[--m->n];
        m->stack[m->n - 1] = v; /* in the mark's place */
        return CARA_OK;
    case 's': /* SETITEM */
        return m->n < 3 ? corrupt(m, "sets an item of nothing")
                        : add_items(m, m->n - 2, 0, CARA_PICKLE_DICT);
    case 'u': /* SETITEMS */
        return add_items(m, above_mark(m), 1, CARA_PICKLE_DICT);
    case 'a': /* APPEND */
        return m->n < 2 ? corrupt(m, "appends to nothing")
                        : add_items(m, m->n - 1, 0, CARA_PICKLE_LIST);
    case 'e': /* APPENDS */
        return add_items(m, above_mark(m), 1, CARA_PICKLE_LIST);
    case 'c':
        return read_global(m);
    case 0x93:
        return stack_global(m);
    case 'Q': /* BINPERSID */
        v = pop(m);
        if (!v)
            return corrupt(m, "has a storage without its name");
        {
            value *storage = make(m, CARA_PICKLE_STORAGE);
            if (!storage)
                return no_memory(m);
            return append(m, storage, v) ? CARA_ERR_MEMORY : push(m, storage);
        }
    case 'R':
        return reduce(m);
    case 'b': /* BUILD: a state dict's _metadata, which we do not need */
        v = pop(m);
        if (!v || !m->n || !m->stack[m->n - 1] || m->stack[m->n - 1]->type != CARA_PICKLE_DICT)
            return corrupt(m, "sets the state of a value that has none");
        return CARA_OK;
    default:
        return cara_fail(
            m->err, CARA_ERR_MODEL_FORMAT, (int64_t)m->opcode,
            "the model's pickle has the instruction 0x%02x at byte %zu, which no "
            "Whisper checkpoint needs; nothing was run. Use a file from openai/whisper",
            opcode, m->opcode);
    }
}

int cara_pickle_read(cara_slice bytes, cara_arena *arena, cara_pickle **root, cara_error *err) {
    machine m = {.in = bytes, .arena = arena, .err = err};
    *root = NULL;
    for (;;) {
        m.opcode = m.at;
        const uint8_t *opcode = read_bytes(&m, 1);
        if (!opcode)
            return corrupt(&m, "has no end");
        if (*opcode == '.')
            break;
        int rc = step(&m, *opcode);
        if (rc)
            return rc;
    }
    if (m.n != 1 || !m.stack[0])
        return corrupt(&m, "ends with more than one value");
    *root = m.stack[0];
    return CARA_OK;
}

const cara_pickle *cara_pickle_get(const cara_pickle *dict, const char *key) {
    for (size_t i = dict->n; i >= 2; i -= 2)
        if (dict->items[i - 2]->type == CARA_PICKLE_STRING &&
            cara_slice_eq_str(dict->items[i - 2]->text, key))
            return dict->items[i - 1];
    return NULL;
}
