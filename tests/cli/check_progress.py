#!/usr/bin/env python3
"""The line of progress on real terminals: it fits at any width, after a change of size too, shows life while
the first window is computed, and is not there where no terminal is.

Usage: check_progress.py CARACOLA SOURCE_DIR      prints TAP
"""
import fcntl
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unicodedata

from tap import Checks

NAMES = ["note.ogg", "声声声声声声声声声声声声声声声声声声声声.ogg", "e\u0301e\u0301e\u0301e\u0301 largo nombre de una nota de voz.ogg",
         "a\x1b[2Jb\x07\nc\u202e.ogg"]


def columns(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Terminal:
    def __init__(self, width):
        self.master, self.slave = pty.openpty()
        self.resize(width)

    def resize(self, width):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))


def run(command, terminal, env, watch=None):
    """(exit status, [(seconds since the start, bytes)]) of what came to the terminal; `watch` is called with
    everything so far, and the process."""
    started, got = time.monotonic(), []
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal.slave, env=env)
    os.close(terminal.slave)
    while True:
        try:
            data = os.read(terminal.master, 65536)
        except OSError:
            break
        if not data:
            break
        got.append((time.monotonic() - started, data))
        if watch:
            watch(b"".join(piece for _, piece in got), process)
    os.close(terminal.master)
    return process.wait(), got


def drawn(got):
    """[(when, line)]: each drawing of the line, which begins with a carriage return."""
    return [(when, line) for when, data in got
            for line in re.findall(r"\r([^\r\x1b]*)\x1b\[K", data.decode("utf-8")) if line]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    caracola, source = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
    checks = Checks()
    # The slowest kernels in one thread: the first window takes a while.
    env = {**os.environ, "TERM": "xterm", "CARACOLA_CPU": "scalar", "LC_ALL": "C", "NO_COLOR": "1"}
    env.pop("CARACOLA_MODEL", None)
    slow = [caracola, "transcribe", "--threads", "1", "--batch_size", "1"]
    command = [*slow, "--audio_ctx", "300"]
    with tempfile.TemporaryDirectory(prefix="caracola-progress-") as scratch:
        files = [shutil.copy(source / "samples/blue-panga.ogg", f"{scratch}/{name}") for name in NAMES]

        for width in (1, 2, 20, 80, 200):
            status, got = run([*command, files[1]], Terminal(width), env)
            lines = [line for _, line in drawn(got)]
            checks.add(f"width {width}: it is drawn", status == 0 and bool(lines) == (width > 1), lines)
            checks.add(f"width {width}: it fits", all(columns(line) < width for line in lines), lines)

        status, got = run([*slow, files[0]], Terminal(100), env)
        lines = drawn(got)
        first = [(when, line) for when, line in lines if "%" not in line or " 0%" in line]
        checks.add("something is drawn in each second of the first window",
                   first and all(b - a < 1 for (a, _), (b, _) in zip([(0.5, ""), *first], first)), first)
        checks.add("and differs from what was drawn before", len({line for _, line in first}) == len(first) > 3, first)
        checks.add("the time that has passed grows",
                   len(set(re.findall(r"(\d+:\d\d) elapsed", " ".join(line for _, line in lines)))) > 1, lines)
        checks.add("it is drawn a few times a second at most", len(lines) <= 5 * lines[-1][0] + 2, lines)
        checks.add("the line is taken away at the end", got[-1][1].endswith(b"\r\x1b[K"), got[-1])

        status, got = run([*command, *files], Terminal(150), env)
        lines = [line for _, line in drawn(got)]
        text = b"".join(data for _, data in got).decode("utf-8")
        checks.add("files are counted", status == 0 and all(f"{n} of 4" in " ".join(lines) for n in (1, 2, 3, 4)), lines)
        percents = [int(p) for p in re.findall(r"(\d+)%", " ".join(lines))]
        checks.add("the whole is counted, not each file", percents == sorted(percents) and percents[-1] > 70, percents)
        checks.add("time of audio, speed and time left are shown",
                   all(re.search(pattern, " ".join(lines)) for pattern in (r"audio \d+:\d\d", r"[\d.]+x", r"\d:\d\d left")), lines)
        checks.add("names cannot command the terminal",
                   not re.search(r"\x07|\x1b\[2J|\u202e", text) and "a?[2Jb??c?.ogg" in text, text)

        narrow = []

        def watch(seen, process):
            if len(re.findall(rb"\x1b\[K", seen)) == 3 and not narrow:
                terminal_again = Terminal.__new__(Terminal)
                terminal_again.slave = terminal.master
                terminal_again.resize(30)
                process.send_signal(signal.SIGWINCH)
                narrow.append(seen)

        terminal = Terminal(120)
        status, got = run([*slow, files[0]], terminal, env, watch)
        lines = [line for _, line in drawn(got)]
        checks.add("after a change of size it fits the new one",
                   status == 0 and len(lines) > 5 and any(columns(line) > 30 for line in lines[:3])
                   and all(columns(line) < 30 for line in lines[4:]), lines)

        for name, change in (("TERM is dumb", {"TERM": "dumb"}), ("TERM is not set", {"TERM": ""})):
            status, got = run([*command, files[0]], Terminal(80), {**env, **change})
            checks.add(f"{name}: no line", status == 0 and not any(b"\r" in data.replace(b"\r\n", b"") or b"\x1b" in data
                                                                   for _, data in got), got)
        status, got = run([*command, "-q", files[0]], Terminal(80), env)
        checks.add("--quiet: no line", status == 0 and not got, got)
        done = subprocess.run([*command, files[0]], env=env, capture_output=True)
        checks.add("standard error is no terminal: no line",
                   done.returncode == 0 and not re.search(rb"[\r\x1b]|elapsed", done.stderr), done.stderr)
        status, got = run([caracola, "model", "convert", "--force", str(source / "tests/data/nano/nano.pt"),
                           f"{scratch}/nano.cara", "--compute_type", "int8", "--threads", "1"], Terminal(60), env)
        checks.add("model convert has one too, or is done before", status == 0 and
                   all(columns(line) < 60 and "converting" in line for _, line in drawn(got)), got)
        status, got = run([caracola, "handle", "--store", f"{scratch}/store", "--media", str(source / "samples/media"),
                           str(source / "samples/event.json")], Terminal(70), env)
        lines = [line for _, line in drawn(got)]
        checks.add("handle has one", status == 0 and lines and all(columns(line) < 70 and "event.json" in line for line in lines),
                   lines)
    checks.exit()


main()
