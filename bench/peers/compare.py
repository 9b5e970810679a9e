#!/usr/bin/env python3
"""Times caracola and other engines in turns, on models of random weights of one shape.

Usage: compare.py [--level LEVEL] [--rounds 5] [--threads 2] [--json FILE] CARACOLA MODEL.cara
                  [--peer NAME BENCH MODEL]...

Each round runs every engine once, each in a process of its own, so that a machine that slows down
slows all of them. Medians are shown, and how many times as long the others take. A BENCH is one of
those beside this file: called with MODEL, THREADS and RUNS, it prints one JSON object. --level caps
caracola and CTranslate2 (by CT2_FORCE_CPU_ISA and ONEDNN_MAX_CPU_ISA); whisper.cpp has to be built
for it. docs/bench.md says how the others and their models are made.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

FIGURES = [("encode_ms", "encode ms"), ("decode_ms_per_token", "ms/token"), ("beam5_step_ms", "beam-5 step ms"),
           ("open_ms", "load ms"), ("peak_rss_mb", "peak MB")]


def run(command, env):
    done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed")
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def table(medians):
    yield "| engine | " + " | ".join(title for _, title in FIGURES) + " |"
    yield "|---|" + "---|" * len(FIGURES)
    ours = medians["caracola"]
    for name, figures in medians.items():
        cells = [f"{figures[key]:.1f}" + (f" ({figures[key] / ours[key]:.2f}x)" if name != "caracola" else "")
                 for key, _ in FIGURES]
        yield f"| {name} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("caracola")
    parser.add_argument("model")
    parser.add_argument("--peer", nargs=3, metavar=("NAME", "BENCH", "MODEL"), action="append", default=[])
    parser.add_argument("--level", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--json", metavar="FILE", help="keep all rounds here")
    args = parser.parse_args()
    env = dict(os.environ)
    if args.level:
        env.update(CARACOLA_CPU=args.level, CT2_FORCE_CPU_ISA=args.level.upper(), ONEDNN_MAX_CPU_ISA=args.level.upper())
    engines = {"caracola": [args.caracola, "bench", "--model", args.model, "--threads", args.threads, "--runs", "1",
                            "--json"]}
    for name, bench, model in args.peer:
        engines[name] = [bench, model, args.threads, "1"]
    rounds = {name: [] for name in engines}
    for i in range(args.rounds):
        for name, command in engines.items():
            print(f"round {i + 1} of {args.rounds}: {name}", file=sys.stderr)
            rounds[name].append(run(command, env))
    medians = {name: {key: statistics.median(r[key] for r in all_) for key, _ in FIGURES}
               for name, all_ in rounds.items()}
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"level": args.level, "medians": medians, "rounds": rounds}, file, indent=1)
            file.write("\n")
    print("\n".join(table(medians)))


main()
