#!/usr/bin/env python3
"""Runs of `transcribe` that are stopped by SIGINT, SIGTERM and SIGKILL: status, and what is left.

A transcript that was cut short is marked, never replaces a whole one or one that came further, and
is replaced by a whole one. No temporary file stays, except after SIGKILL.

Usage: check_interrupts.py CARACOLA SOURCE_DIR [SEED]        prints TAP
"""
import csv
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

KILLS = 12  # at random moments
TEXTS = ("txt", "vtt", "srt", "tsv")
checks = []


def check(name, ok, more=""):
    checks.append(bool(ok))
    print(f"{'ok' if ok else 'not ok'} {len(checks)} - {name}", flush=True)
    if not ok:
        for line in str(more).splitlines()[:30]:
            print(f"# {line}")


class Runner:
    def __init__(self, caracola, source):
        self.command = [caracola, "transcribe", "--model", str(source / "tests/data/nano/nano.pt")]

    def whole(self, *arguments):
        done = subprocess.run([*self.command, "-q", *map(str, arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def start(self, *arguments):
        return subprocess.Popen([*self.command, "-q", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def cut(self, segments, *arguments):
        """Interrupts once so many segments are transcribed: (status, what stderr says)."""
        process = self.start("--verbose", "True", *arguments)
        for _ in range(segments):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        return process.returncode, said.decode()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


def is_cut(folder, name="long"):
    path = folder / f"{name}.json"
    return path.is_file() and json.loads(path.read_text()).get("cut_short") is True


def check_cut(run, root, long, expected):
    """One transcript after the other in one folder: cut, cut earlier, cut later, whole, cut."""
    out = root / "all"
    status, said = run.cut(6, "-o", out, "-f", "all", long)
    first = contents(out)
    partial = json.loads(first["long.json"])
    check("a cut run gives 130, and says what it keeps",
          status == 130 and said == f"caracola: interrupted; what was transcribed of {long} until then is kept\n",
          f"{status} {said}")
    check("its files are all there, and the JSON is marked",
          sorted(first) == sorted(f"long.{f}" for f in (*TEXTS, "json"))
          and list(partial) == ["text", "segments", "language", "cut_short"]
          and partial["cut_short"] is True, sorted(first))
    check("they hold the beginning of the whole",
          all(first[f"long.{f}"] and expected[f"long.{f}"].startswith(first[f"long.{f}"])
              and len(first[f"long.{f}"]) < len(expected[f"long.{f}"]) for f in TEXTS))
    status, said = run.cut(1, "-o", out, "-f", "all", long)
    check("a run that is cut earlier replaces nothing",
          status == 130 and contents(out) == first and "stay as they were" in said, f"{status} {said}")
    status, said = run.cut(20, "-o", out, "-f", "txt", long)
    later = contents(out)
    check("one that is cut later replaces less by more, and the mark says so",
          status == 130 and is_cut(out) and len(later["long.json"]) > len(first["long.json"])
          and later["long.txt"].startswith(first["long.txt"]) and later["long.srt"] == first["long.srt"],
          f"{status} {said}")
    run.whole("-o", out, "-f", "txt", "--skip_existing", long)
    check("a whole run, of one format only, replaces all that is cut", contents(out) == expected,
          {name: len(text) for name, text in contents(out).items()})
    for formats in ("all", "txt"):
        status, said = run.cut(6, "-o", out, "-f", formats, long)
        check(f"a cut run of {formats} replaces nothing that is whole",
              status == 130 and contents(out) == expected and "stay as they were" in said,
              f"{status} {said}")
    old = root / "old"
    old.mkdir()
    (old / "long.txt").write_text("of another program\n")
    status, said = run.cut(6, "-o", old, "-f", "json", long)
    check("nor does it stand beside a transcript that may be whole",
          status == 130 and list(contents(old)) == ["long.txt"], contents(old))


def check_formats(run, root, long):
    for formats in (*TEXTS, "json"):
        out = root / formats
        status, said = run.cut(3, "-o", out, "-f", formats, long)
        check(f"{formats} alone: 130, and the mark beside it",
              status == 130 and is_cut(out) and set(contents(out)) == {f"long.{formats}", "long.json"}
              and "is kept" in said, f"{status} {said} {sorted(contents(out))}")
    out = root / "csv"
    run.whole("-o", out, "-f", "csv", "--language", "es", root / "short.ogg")
    before = contents(out)
    status, said = run.cut(3, "-o", out, "-f", "csv", long)
    check("csv: 130, and only whole transcripts in the table",
          status == 130 and contents(out) == before and "is not kept" in said, f"{status} {said}")


def check_streams(run, root, long):
    for flags in ((), ("--json",), ("--verbose", "True")):
        process = run.start(*flags, long, root / "short.ogg")
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        out, said = process.communicate(timeout=120)
        good = process.returncode == 130 and b"interrupted" in said
        if flags == ("--json",):
            lines = [json.loads(line) for line in out.splitlines()]
            good = good and lines and lines[0]["cut_short"] is True
        check(f"standard output {' '.join(flags)}: 130", good, f"{process.returncode} {out[:300]} {said}")


def check_second(run, root, long):
    out = root / "second"
    process = run.start("--verbose", "True", "-o", out, long)
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)  # both are there before the work can stop for the first
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=120)
    check("a second signal ends the process at once, and nothing is written",
          process.returncode in (-signal.SIGTERM, -signal.SIGINT) and not contents(out),
          f"{process.returncode} {sorted(contents(out))}")


def check_random(run, root, long, rng):
    """Files of several inputs at random moments, over what earlier runs left."""
    names = ["one", "two", "three"]
    started = time.monotonic()
    run.whole("-o", root / "expected-one", "-f", "all", long)
    seconds = time.monotonic() - started
    expected = contents(root / "expected-one")
    audio = root / "audio"
    audio.mkdir()
    for name in names:
        (audio / f"{name}.ogg").write_bytes(long.read_bytes())
    whole = set()
    for number in range(KILLS):
        kill = number % 4 == 3
        out = root / "random"
        before = contents(out)
        process = run.start("-r", audio, "-o", out, "-f", "all,csv", "--skip_existing",
                            "--batch_size", rng.choice("13"))
        time.sleep(rng.uniform(0.02, 1.5) * seconds)
        process.send_signal(signal.SIGKILL if kill else rng.choice([signal.SIGINT, signal.SIGTERM]))
        _, said = process.communicate(timeout=120)
        after = contents(out)
        wrong = []
        # Killed before the signals are caught, or after all was done, is allowed.
        if process.returncode not in (130, 0, -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM):
            wrong.append(f"status {process.returncode}: {said.decode()}")
        for name, text in before.items():
            if name.endswith(".tmp") or name == "transcripts.csv":
                continue
            if name not in after:
                wrong.append(f"{name} is gone")
            elif len(after[name]) < len(text):
                wrong.append(f"{name} has less than before")
        for name in names:
            files = {f: after.get(f"{name}.{f}") for f in (*TEXTS, "json")}
            cut = is_cut(out, name)
            for f, text in files.items():
                if text is not None and not cut and text != expected[f"long.{f}"] and None not in files.values():
                    wrong.append(f"{name}.{f} is not whole, and not marked")
                if text is not None and f != "json" and not expected[f"long.{f}"].startswith(text):
                    wrong.append(f"{name}.{f} is no beginning of the transcript")
            if name in whole and cut:
                wrong.append(f"{name} was whole and is cut")
            if not cut and None not in files.values():
                whole.add(name)
        if "transcripts.csv" in after:
            rows = list(csv.reader(after["transcripts.csv"].decode().splitlines()))
            for name in names:
                n = sum(row[0].endswith(f"/{name}.ogg") for row in rows)
                if n and n % len(json.loads(expected["long.json"])["segments"]):
                    wrong.append(f"the table has {n} rows of {name}")
        left = [name for name in after if name.endswith(".tmp") and name not in before]
        if left and not kill:
            wrong.append(f"left behind: {left}")
        if wrong:
            return check(f"run {number} of {KILLS} that were stopped at random moments", False,
                         "\n".join(wrong))
        if len(whole) == len(names):  # begin anew
            for path in out.iterdir():
                path.unlink()
            whole = set()
    check(f"{KILLS} runs that were stopped at random moments lost nothing", True)
    run.whole("-r", audio, "-o", out, "-f", "all,csv", "--skip_existing")
    after = contents(out)
    check("and a last one makes all of them whole",
          all(after[f"{name}.{f}"] == expected[f"long.{f}"] for name in names for f in (*TEXTS, "json")))


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    source = pathlib.Path(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    run = Runner(sys.argv[1], source)
    voices = source / "tests/data/nano/voices"
    with tempfile.TemporaryDirectory(prefix="caracola-interrupts-") as folder:
        root = pathlib.Path(folder)
        long = root / "long.ogg"  # a chain: as long as it takes for signals to come in between
        long.write_bytes((voices / "long-es.ogg").read_bytes() * 2)
        (root / "short.ogg").write_bytes((voices / "es-01.ogg").read_bytes())
        expected_folder = root / "expected"
        run.whole("-o", expected_folder, "-f", "all", long)
        expected = contents(expected_folder)
        check_cut(run, root, long, expected)
        check_formats(run, root, long)
        check_streams(run, root, long)
        check_second(run, root, long)
        long.write_bytes((voices / "long-es.ogg").read_bytes())
        check_random(run, root, long, random.Random(seed))
    print(f"1..{len(checks)}")
    sys.exit(0 if all(checks) else 1)


main()
