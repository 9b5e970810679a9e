#!/usr/bin/env python3
"""Makes C of text files. Usage: embed.py OUT HEADER NAME=FILE..."""
import pathlib
import sys

lines = [f'#include "{sys.argv[2]}"\n']
for pair in sys.argv[3:]:
    name, _, path = pair.partition("=")
    data = pathlib.Path(path).read_text(encoding="ascii").encode() + b"\0"
    lines.append(f"const char {name}[] = {{")
    for at in range(0, len(data), 24):
        lines.append("    " + " ".join(f"{byte}," for byte in data[at:at + 24]))
    lines.append("};\n")
pathlib.Path(sys.argv[1]).write_text("\n".join(lines))
