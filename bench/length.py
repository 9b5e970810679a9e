#!/usr/bin/env python3
"""Does the cost grow with the audio's length, and the memory not?

Speech of the test data, repeated to each length in a WAV file (16 kHz, f32), is transcribed; shown are
time, time for each second of audio and for each window of 30 s, and the peak of resident memory.

Usage: length.py CARACOLA SOURCE_DIR [--model FILE] [--lengths SECONDS,...] [FLAG...]
       length.py CARACOLA SOURCE_DIR --check      1 and 20 minutes, memory only; prints TAP

Other flags are given to `caracola transcribe`. Processor time is the one to compare on a busy machine.
"""
import argparse
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

LENGTHS = "5,30,60,600,7200"
RATE = 16000
MORE = 64 * 1000 * 1000  # bytes that a long audio may take more than one of a minute
FLAGS = ["--language", "es", "--temperature", "0", "--temperature_increment_on_fallback", "None", "--quiet"]


def speech(source):
    """Samples of the golden notes, f32 little-endian, as stored in their .npy files."""
    out = b""
    for path in sorted((source / "tests/data/golden/stages").glob("es-*.pcm.npy")):
        data = path.read_bytes()
        out += data[10 + struct.unpack("<H", data[8:10])[0]:]
    if len(out) < 4 * RATE:
        sys.exit(f"no speech in {source}/tests/data/golden/stages")
    return out


def write_wav(path, samples, seconds):
    n = int(seconds * RATE) * 4
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", 36 + n) + b"WAVEfmt " +
                struct.pack("<IHHIIHH", 16, 3, 1, RATE, 4 * RATE, 4, 32) + b"data" + struct.pack("<I", n))
        for at in range(0, n, len(samples)):
            f.write(samples[:n - at])


def run(command):
    """(status, seconds, processor seconds, peak bytes, standard output) of a command."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        out = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return (child.returncode, time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, out)


def measure(caracola, source, model, lengths, flags):
    samples = speech(source)
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            wav = pathlib.Path(folder) / "speech.wav"
            write_wav(wav, samples, seconds)
            yield seconds, run([caracola, "transcribe", "--model", model, *FLAGS, *flags, str(wav)])


def check(caracola, source):
    print("1..3", flush=True)
    runs = [result for _, result in measure(caracola, source, source / "models/demo.cara", (60, 1200),
                                            ["--compute_type", "int8", "--condition_on_previous_text", "False"])]
    minute, long = runs
    oks = [(minute[0] == 0 and long[0] == 0, "both end well"),
           (len(long[4].split()) > 10 * len(minute[4].split()) > 100, "twenty minutes have more words than one"),
           (long[3] < minute[3] + MORE, "they take no more memory")]
    for number, (ok, name) in enumerate(oks, 1):
        print(f"{'ok' if ok else 'not ok'} {number} - {name}")
    print(f"# peak {minute[3] / 1e6:.1f} MB and {long[3] / 1e6:.1f} MB, "
          f"{len(minute[4].split())} and {len(long[4].split())} words")
    return 0 if all(ok for ok, _ in oks) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("caracola")
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--model")
    parser.add_argument("--lengths", default=LENGTHS)
    parser.add_argument("--check", action="store_true")
    args, flags = parser.parse_known_args()
    if args.check:
        return check(args.caracola, args.source)
    model = args.model or args.source / "models/demo.cara"
    lengths = [float(x) for x in args.lengths.split(",")]
    print(f"{'audio s':>8} {'time s':>8} {'cpu s':>8} {'cpu ms/s':>9} {'cpu ms/window':>14} {'peak MB':>8} {'words':>6}")
    for seconds, (status, wall, cpu, peak, out) in measure(args.caracola, args.source, model, lengths, flags):
        if status:
            return status
        windows = -(-seconds // 30)
        print(f"{seconds:8g} {wall:8.2f} {cpu:8.2f} {1e3 * cpu / seconds:9.2f} {1e3 * cpu / windows:14.1f} "
              f"{peak / 1e6:8.1f} {len(out.split()):6d}", flush=True)
    return 0


sys.exit(main())
