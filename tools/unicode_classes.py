#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_table.h: which code points are letters, numbers or white space.

    python3 tools/unicode_classes.py > src/tokenizer/unicode_table.h

The classes are those of the split regex of GPT-2: \\p{L}, \\p{N}, \\s (the White_Space property) and
the rest. The table holds each code point at which the class changes.
"""
import sys
import unicodedata


def white_space(cp):
    # Unicode's White_Space: all separators and seven controls, which have no category of their own.
    return 0x9 <= cp <= 0xD or cp == 0x85 or unicodedata.category(chr(cp)) in ("Zs", "Zl", "Zp")


def char_class(cp):
    if white_space(cp):
        return 3
    return {"L": 1, "N": 2}.get(unicodedata.category(chr(cp))[0], 0)


def main():
    changes, last = [], None
    for cp in range(sys.maxunicode + 1):
        c = char_class(cp)
        if c != last:
            changes.append(cp << 2 | c)
            last = c
    print(f"/* Written by tools/unicode_classes.py from Unicode {unicodedata.unidata_version}. */")
    print("#ifndef TOKENIZER_UNICODE_TABLE_H\n#define TOKENIZER_UNICODE_TABLE_H\n\n#include <stdint.h>\n")
    print("/* code point << 2 | class (0 other, 1 letter, 2 number, 3 space); ascending. The class holds")
    print(" * up to the next entry. */")
    print("/* clang-format off */")
    print(f"static const uint32_t unicode_changes[{len(changes)}] = {{")
    for i in range(0, len(changes), 10):
        print("    " + " ".join(f"0x{c:x}," for c in changes[i : i + 10]))
    print("};\n/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    main()
