#!/usr/bin/env python3
"""What `caracola bench --json` promises to scripts: its keys, their types, and that they agree.

Usage: check_bench.py CARACOLA SOURCE_DIR        prints TAP
"""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

NUMBERS = ["encode_ms", "prompt_ms", "decode_ms_per_token", "beam5_step_ms", "mel_ms", "audio_decode_ms",
           "open_ms", "peak_rss_mb", "floor_encode_ms", "floor_decode_ms_per_token", "linear_gop", "linear_gops",
           "attention_gop", "attention_gops", "token_mb", "read_gbs", "encode_percent_of_limit",
           "decode_percent_of_limit", "beam5_percent_of_limit", "first_token_ms"]
LEVELS = {"scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "amx", "neon"}


def close(a, b):
    return math.isclose(a, b, rel_tol=0.01, abs_tol=0.01)


def bench(caracola, folder, *flags, level=None):
    env = dict(os.environ, TMPDIR=folder)
    env.pop("CARACOLA_CPU", None)
    if level:
        env["CARACOLA_CPU"] = level
    done = subprocess.run([caracola, "bench", "--threads", "1", "--runs", "1", *flags], env=env,
                          capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    caracola, source = sys.argv[1], pathlib.Path(sys.argv[2])
    demo = str(source / "models/demo.cara")
    checks = []
    with tempfile.TemporaryDirectory() as folder:
        status, out, errors = bench(caracola, folder, "--model", demo, "--json")
        checks.append((f"bench ends well: {errors}", status == 0 and errors == ""))
        result = json.loads(out) if status == 0 else {}
        checks.append(("one line, one object", out.count("\n") == 1 and isinstance(result, dict)))
        for key in NUMBERS:
            value = result.get(key)
            checks.append((f"{key} is a positive number", isinstance(value, (int, float)) and value > 0))
        cold = [result.get(key, 0) for key in ("cold_first_token_ms", "read_file_ms", "cold_start_ratio")]
        checks.append((f"a cold start is a number or null: {cold}", cold == [None] * 3 or all(x and x > 0 for x in cold)))
        if cold[0]:
            checks.append(("cold_start_ratio follows",
                           close(cold[2], cold[0] / max(cold[1], result["first_token_ms"]))))
        for flags in (["--random", "tiny"], ["--model", demo, "--accuracy"], ["--model", demo, "--compute_type", "int8"]):
            status, stamp, errors = bench(caracola, folder, "--first_token", *flags)
            checks.append((f"--first_token {flags} is refused", status == 2 and stamp == "" and "--first_token takes" in errors))
        before = time.monotonic()
        status, stamp, errors = bench(caracola, folder, "--first_token", "--model", demo)
        checks.append((f"the first token has a time: {stamp}{errors}",
                       status == 0 and before < float(stamp or 0) < time.monotonic()))
        checks.append(("the level has a known name", result.get("cpu_level") in LEVELS))
        checks.append(("the rest is as asked", (result.get("model"), result.get("threads"), result.get("runs"),
                                                result.get("compute_type")) == ("demo", 1, 1, "float16")))
        if status == 0:
            # 4 layers of width 192: what the limits are divided into, counted once more.
            linear = 2 * (3000 * 192 * 240 + 1500 * 192 * 576 + 4 * 1500 * 12 * 192**2 + 4 * 1500 * 2 * 192**2) / 1e9
            attention = 2 * 4 * 2 * 1500**2 * 192 / 1e9
            layer = 2 * (12 * 192**2 + 2 * 192**2) + 2 * (6 * 192 + 192 * 5 + 4 * 192 + 192)
            token = (4 * layer + 2 * 51865 * 192 + 2 * 2 * 192 + 4 * 2 * 1500 * 192 * 2) / 1e6
            checks.append((f"linear_gop is {linear}", close(result["linear_gop"], linear)))
            checks.append((f"attention_gop is {attention}", close(result["attention_gop"], attention)))
            checks.append((f"token_mb is about {token}", math.isclose(result["token_mb"], token, rel_tol=0.001)))
            floor = 1e3 * (result["linear_gop"] / result["linear_gops"] +
                           result["attention_gop"] / result["attention_gops"])
            checks.append(("floor_encode_ms follows", close(result["floor_encode_ms"], floor)))
            checks.append(("floor_decode_ms_per_token follows",
                           close(result["floor_decode_ms_per_token"], result["token_mb"] / result["read_gbs"])))
            checks.append(("linear_gops is one of peak_gops",
                           result["peak_gops"].get(result["linear_instruction"]) == result["linear_gops"]))
        status, out, errors = bench(caracola, folder, "--model", demo, "--compute_type", "float32", level="scalar")
        checks.append(("the table names model, type and level",
                       status == 0 and out.startswith("demo, float32, 1 thread, CPU level scalar, medians of 1\n")))
        checks.append(("the table shows operations and bytes", "A window: " in out and "A token: " in out))
        for what in (["--model", demo], ["--random", "tiny"]):
            status, out, errors = bench(caracola, folder, *what, "--accuracy", "--json")
            result = json.loads(out) if status == 0 else {"layers": [], "encoder": {}}
            checks.append((f"--accuracy {what[1]} ends well: {errors}", status == 0 and errors == ""))
            checks.append(("it shows each of four layers", [x["layer"] for x in result["layers"]] == [0, 1, 2, 3]))
            for layer in result["layers"] + [result["encoder"]]:
                checks.append((f"int8 costs as little as rounding: {layer}",
                               0 < layer.get("int8_error", 0) <= 1.1 * layer["rounding_error"] < 0.1 and
                               close(layer["ratio"], layer["int8_error"] / layer["rounding_error"])))
                checks.append((f"numbers have six digits: {layer}",
                               all(x == float(f"{x:.6g}") for x in layer.values())))
        status, out, errors = bench(caracola, folder, "--random", "tiny", "--compute_type", "int8", "--accuracy")
        checks.append(("what is int8 already has no float to compare with",
                       status == 2 and out == "" and "the model's weights are int8 already" in errors))
        checks.append(("nothing is left behind", os.listdir(folder) == []))
    print(f"1..{len(checks)}")
    for number, (name, ok) in enumerate(checks, 1):
        print(f"{'ok' if ok else 'not ok'} {number} - {name}")
    sys.exit(0 if all(ok for _, ok in checks) else 1)


main()
