#!/usr/bin/env python3
"""Every flag of --help stands in the man page, and every exit code in man page, docs and README.

Usage: check_docs.py CARACOLA SOURCE_DIR        prints TAP
"""
import pathlib
import re
import subprocess
import sys


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    caracola, source = sys.argv[1], pathlib.Path(sys.argv[2])
    man = (source / "man/caracola.1").read_text(encoding="utf-8").replace("\\-", "-")
    docs = (source / "docs/cli.md").read_text(encoding="utf-8")
    readme = (source / "README.md").read_text(encoding="utf-8")
    header = (source / "src/cli/cli.h").read_text(encoding="utf-8")
    checks = []
    commands = [["transcribe"], ["bench"], ["doctor"], ["handle"], ["worker"], ["setup"], ["teardown"], ["model", "info"], ["model", "convert"], ["model", "random"]]
    for command in commands:
        done = subprocess.run([caracola, *command, "--help"], capture_output=True, text=True)
        flags = sorted(set(re.findall(r"^\s+(?:-\w, )?(--[a-z0-9_-]+)", done.stdout, re.M)))
        name = " ".join(command)
        checks.append((f"{name} --help lists flags", done.returncode == 0 and bool(flags)))
        for flag in flags:
            if flag != "--help":
                spellings = {flag, flag.replace("_", "-"), flag.replace("-", "_").replace("__", "--", 1)}
                checks.append((f"man page has {flag} of {name}",
                               any(re.search(re.escape(s) + r"(?![\w-])", man) for s in spellings)))
    codes = re.findall(r"CARA_EXIT_\w+ = (\d+)", header)
    checks.append(("cli.h has exit codes", len(codes) > 5))
    for code in codes:
        checks.append((f"man page has exit status {code}", f"\n.B {code}\n" in man))
        checks.append((f"docs/cli.md has exit status {code}", f"| {code} |" in docs))
        checks.append((f"README has exit status {code}", f"| {code} |" in readme))
    print(f"1..{len(checks)}")
    for number, (name, ok) in enumerate(checks, 1):
        print(f"{'ok' if ok else 'not ok'} {number} - {name}")
    sys.exit(0 if all(ok for _, ok in checks) else 1)


main()
