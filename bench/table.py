#!/usr/bin/env python3
"""Runs `caracola bench` for several shapes and prints one table, or draws a plot.

Usage: table.py CARACOLA [--json FILE] [--runs N] [--threads N] [--levels L,L] SHAPE...
       table.py --plot FILE.json > plot.svg
       table.py --markdown FILE.json

FILE.json holds a list of the objects that `caracola bench --json` printed.
"""
import argparse
import json
import os
import subprocess
import sys

COLUMNS = [("encode_ms", "encode ms", "{:.0f}"), ("floor_encode_ms", "limit", "{:.0f}"),
           ("encode_percent_of_limit", "%", "{:.0f}"), ("prompt_ms", "prompt ms", "{:.1f}"),
           ("decode_ms_per_token", "ms/token", "{:.2f}"), ("floor_decode_ms_per_token", "limit", "{:.2f}"),
           ("decode_percent_of_limit", "%", "{:.0f}"), ("beam5_step_ms", "beam-5 step ms", "{:.2f}"),
           ("mel_ms", "mel ms", "{:.1f}"), ("audio_decode_ms", "audio ms", "{:.1f}"),
           ("open_ms", "open ms", "{:.1f}"), ("peak_rss_mb", "peak MB", "{:.0f}")]


def rows(results):
    yield ["model", "type", "level", "threads"] + [title for _, title, _ in COLUMNS]
    for r in results:
        yield [r["model"].removeprefix("random-"), r["compute_type"], r["cpu_level"], str(r["threads"])] + [
            "" if r.get(key) is None else form.format(r[key]) for key, _, form in COLUMNS]


def text(results):
    table = list(rows(results))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(w) if i < 3 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(line, widths))).rstrip())


def markdown(results):
    table = list(rows(results))
    print("| " + " | ".join(table[0]) + " |")
    print("|" + "---|" * len(table[0]))
    for line in table[1:]:
        print("| " + " | ".join(line) + " |")


def plot(results):
    """Bars: how much of the machine's limit encoding and decoding reach."""
    left, top, height, gap, width = 190, 64, 16, 22, 420
    bars = [("encode", "#2b6f8a", "encode_percent_of_limit", "encode_ms", "{:.0f} ms a window"),
            ("decode", "#c07a2c", "decode_percent_of_limit", "decode_ms_per_token", "{:.1f} ms a token")]
    most = max([100.0] + [r[key] for r in results for _, _, key, _, _ in bars])
    scale = width / most
    bottom = top + len(results) * (2 * height + gap)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 170}" height="{bottom + 40}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{left + width + 170}" height="{bottom + 40}" fill="#ffffff"/>',
           '<text x="16" y="24" font-size="15">Share of the machine\'s limit that is reached</text>']
    x = left
    for name, colour, *_ in bars:
        out.append(f'<rect x="{x}" y="36" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{x + 18}" y="46">{name}</text>')
        x += 90
    for tick in range(0, int(most) + 1, 25):
        at = left + tick * scale
        out.append(f'<line x1="{at:.1f}" y1="{top - 6}" x2="{at:.1f}" y2="{bottom}" stroke="#dddddd"/>'
                   f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#555555">{tick} %</text>')
    y = top
    for r in results:
        label = f"{r['model'].removeprefix('random-')}, {r['cpu_level']}, {r['threads']} threads"
        out.append(f'<text x="{left - 10}" y="{y + height + 4}" text-anchor="end">{label}</text>')
        for _, colour, key, value, form in bars:
            out.append(f'<rect x="{left}" y="{y}" width="{r[key] * scale:.1f}" height="{height - 2}" '
                       f'fill="{colour}"/>'
                       f'<text x="{left + r[key] * scale + 6:.1f}" y="{y + height - 5}" fill="#333333">'
                       f'{form.format(r[value])}</text>')
            y += height
        y += gap
    out.append("</svg>")
    print("\n".join(out))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="keep the results here")
    parser.add_argument("--plot", metavar="FILE", help="draw these results")
    parser.add_argument("--markdown", metavar="FILE", help="a Markdown table of these results")
    parser.add_argument("--runs", default="5")
    parser.add_argument("--threads")
    parser.add_argument("--levels", default="", help="CPU levels, joined by commas")
    parser.add_argument("operands", nargs="*", metavar="CARACOLA SHAPE...")
    args = parser.parse_args()
    for name, show in ((args.plot, plot), (args.markdown, markdown)):
        if name:
            with open(name, encoding="utf-8") as file:
                show(json.load(file))
            return
    if len(args.operands) < 2:
        parser.error("give the caracola to run and a shape such as medium")
    caracola, *shapes = args.operands
    results = []
    for shape in shapes:
        for level in args.levels.split(","):
            env = dict(os.environ, **({"CARACOLA_CPU": level} if level else {}))
            command = [caracola, "bench", "--random", shape, "--json", "--runs", args.runs]
            if args.threads:
                command += ["--threads", args.threads]
            print(f"measuring {shape} {level}", file=sys.stderr)
            done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
            if done.returncode != 0:
                sys.exit(done.returncode)
            results.append(json.loads(done.stdout))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
    text(results)


main()
