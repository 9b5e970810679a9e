/* Runs the AMX files as they were compiled on a machine without AMX: each of its instructions traps
 * there, is decoded (VEX of 3 bytes, Intel SDM volume 2, 2.3) and left to the emulation. */
#ifndef AMX_TRAPS_H
#define AMX_TRAPS_H

#define _GNU_SOURCE /* REG_RIP */
#include <signal.h>
#include <ucontext.h>

#include "amx_emulation.h"

/* A memory operand: the registers' sum is the address, or base and stride for a tile. */
typedef struct amx_operand {
    uintptr_t base, index;
    size_t bytes; /* from ModRM on */
} amx_operand;

static amx_operand amx_operand_of(const greg_t *g, const uint8_t *modrm, int high_base,
                                  int high_index) {
    static const int registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                      REG_R12, REG_R13, REG_R14, REG_R15};
    int mod = *modrm >> 6, base = *modrm & 7;
    amx_operand o = {.bytes = 1};
    if (base == 4) { /* a SIB byte */
        uint8_t sib = modrm[o.bytes++];
        int index = (sib >> 3 & 7) | high_index << 3;
        base = sib & 7;
        if (index != 4)
            o.index = (uintptr_t)g[registers[index]] << (sib >> 6);
    }
    assert_false(mod == 0 && base == 5); /* without a base */
    o.base = (uintptr_t)g[registers[base | high_base << 3]];
    int32_t wide = 0;
    if (mod == 1)
        wide = (int8_t)modrm[o.bytes++];
    if (mod == 2) {
        memcpy(&wide, modrm + o.bytes, 4);
        o.bytes += 4;
    }
    o.base += (uintptr_t)(intptr_t)wide;
    return o;
}

static void amx_trapped(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)g[REG_RIP], *modrm = code + 4;
    assert_true(code[0] == 0xc4 && (code[1] & 0x1f) == 2 && !(code[2] & 0x84));
    int tile = *modrm >> 3 & 7, a = *modrm & 7, b = ~(code[2] >> 3) & 7;
    int registers = *modrm >> 6 == 3;
    amx_operand o = {.bytes = 1};
    if (!registers)
        o = amx_operand_of(g, modrm, !(code[1] & 0x20), !(code[1] & 0x40));
    switch (code[3] << 8 | (code[2] & 3) << 4 | registers) {
    case 0x4900:
        _tile_loadconfig((const void *)(o.base + o.index));
        break;
    case 0x4901:
        _tile_release();
        break;
    case 0x4931:
        _tile_zero(tile);
        break;
    case 0x4b30:
        _tile_loadd(tile, (const void *)o.base, (long)o.index);
        break;
    case 0x4b20:
        _tile_stored(tile, (void *)o.base, (long)o.index);
        break;
    case 0x5c21:
        _tile_dpbf16ps(tile, a, b);
        break;
    case 0x5e31:
        _tile_dpbssd(tile, a, b);
        break;
    default:
        fail_msg("no instruction of AMX: %02x %02x %02x", code[2], code[3], *modrm);
    }
    g[REG_RIP] += 4 + (greg_t)o.bytes;
}

/* To the end of the test: cmocka takes the signal back. */
static void amx_trap(void) {
    struct sigaction act = {.sa_sigaction = amx_trapped, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&act.sa_mask);
    assert_int_equal(sigaction(SIGILL, &act, NULL), 0);
}

#endif
