#!/usr/bin/env python3
"""Runs the cases of one .test file and prints TAP.

Usage: run.py FILE.test CARACOLA SOURCE_DIR
       run.py --self-test

A .test file holds cases, run in order in one fresh folder:

    == a bad flag names itself
    $ caracola transcribe --best_of x note.ogg
    ! caracola: --best_of takes ..., got "x"
    ? 2

`==` starts a case and names it. `$` lines are the command, run by bash. `>` lines are what standard
output must be, `!` lines standard error; without any, it must be empty. `?` is the exit status, 0
where it is not given. In an expected line `...` stands for any text; a line that is only `...`
stands for any lines. `#` in the first column starts a comment.

The command sees $SRC (the source tree), $DATA ($SRC/tests/data), $SAMPLES ($SRC/samples), and finds
`caracola` in its PATH.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TIMEOUT = 300


class Case:
    def __init__(self, name, line):
        self.name, self.line = name, line
        self.command, self.out, self.err, self.status = [], [], [], 0


def parse(text):
    cases = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        mark, rest = line[:1], line[2:]
        if line.startswith("== "):
            cases.append(Case(line[3:].strip(), number))
        elif not cases:
            raise ValueError(f"line {number}: before the first case")
        elif mark == "$":
            cases[-1].command.append(rest)
        elif mark == ">":
            cases[-1].out.append(rest)
        elif mark == "!":
            cases[-1].err.append(rest)
        elif mark == "?":
            cases[-1].status = int(rest)
        else:
            raise ValueError(f"line {number}: starts with none of == $ > ! ? #")
    for case in cases:
        if not case.command:
            raise ValueError(f"line {case.line}: case without a command")
    if not cases:
        raise ValueError("no cases")
    return cases


def matches(expected, got):
    pattern = ""
    for line in expected:
        if line == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += "[^\n]*".join(re.escape(part) for part in line.split("...")) + "\n"
    if got and not got.endswith("\n"):
        got += "\n"
    return re.fullmatch(pattern, got) is not None


def run_case(case, folder, env):
    """What is wrong, as lines; none where all is right."""
    try:
        done = subprocess.run(["bash", "-c", "\n".join(case.command)], cwd=folder, env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return [f"still running after {TIMEOUT} s"]
    wrong = []
    for what, expected, raw in (("output", case.out, done.stdout), ("error", case.err, done.stderr)):
        got = raw.decode("utf-8", "backslashreplace")
        if not matches(expected, got):
            wrong.append(f"standard {what} expected:")
            wrong += ["    " + line for line in expected] or ["    (nothing)"]
            wrong.append(f"standard {what} got:")
            wrong += ["    " + line for line in got.splitlines()[:60]] or ["    (nothing)"]
    if done.returncode != case.status:
        wrong.append(f"exit status expected {case.status}, got {done.returncode}")
    return wrong


def environment(caracola, source, home):
    keep = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "CARACOLA_CPU")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env.update(HOME=home, LC_ALL="C.UTF-8", TERM="dumb", SRC=source, DATA=source + "/tests/data",
               SAMPLES=source + "/samples")
    env["PATH"] = str(pathlib.Path(caracola).resolve().parent) + ":" + env.get("PATH", "/usr/bin:/bin")
    return env


def run_file(path, caracola, source):
    cases = parse(pathlib.Path(path).read_text(encoding="utf-8"))
    print(f"1..{len(cases)}")
    failed = 0
    folder = tempfile.mkdtemp(prefix="caracola-cli-")
    try:
        env = environment(caracola, source, folder)
        for number, case in enumerate(cases, 1):
            wrong = run_case(case, folder, env)
            failed += bool(wrong)
            print(f"{'not ok' if wrong else 'ok'} {number} - {case.name}", flush=True)
            for line in wrong:
                print(f"# {line}")
            if wrong:
                print(f"# {path}:{case.line}: {' '.join(case.command)}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return failed


def self_test():
    """The runner must see a wrong output, a wrong error and a wrong status."""
    checks = [
        ("== a\n$ echo x\n> x\n", True),
        ("== a\n$ echo x\n> y\n", False),
        ("== a\n$ echo x\n", False),
        ("== a\n$ echo x >&2\n! x\n", True),
        ("== a\n$ echo x >&2\n", False),
        ("== a\n$ exit 3\n? 3\n", True),
        ("== a\n$ exit 3\n", False),
        ("== a\n$ echo one two three\n> one...three\n", True),
        ("== a\n$ seq 5\n> 1\n> ...\n> 5\n", True),
        ("== a\n$ seq 5\n> 1\n> ...\n> 6\n", False),
        ("== a\n$ echo 'a.c'\n> abc\n", False),
    ]
    print(f"1..{len(checks)}")
    failed = 0
    for number, (text, right) in enumerate(checks, 1):
        wrong = run_case(parse(text)[0], "/tmp", dict(os.environ))
        ok = (not wrong) == right
        failed += not ok
        print(f"{'ok' if ok else 'not ok'} {number} - {text!r}")
    return failed


def main():
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(1 if self_test() else 0)
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(1 if run_file(*sys.argv[1:]) else 0)


main()
