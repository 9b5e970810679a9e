#!/usr/bin/env python3
"""Writes cases.json: results with word times, and the VTT and SRT of openai/whisper for them.

    PYTHONPATH=path/to/openai-whisper python3 make.py GOLDEN_OPTIONS > cases.json

GOLDEN_OPTIONS is tests/data/golden/options. Imports whisper/utils.py alone, so nothing else is
needed.
"""
import importlib.util
import io
import itertools
import json
import os
import random
import sys

spec = importlib.util.find_spec("whisper")
path = os.path.join(os.path.dirname(spec.origin), "utils.py")
spec = importlib.util.spec_from_file_location("utils", path)
utils = importlib.util.module_from_spec(spec)
spec.loader.exec_module(utils)
rng = random.Random(3)


def made():
    """Pauses, long words, words of one time, segments without words."""
    segments, at = [], 0.0
    for _ in range(rng.randint(1, 5)):
        words = []
        for _ in range(rng.choice([0, 1, 3, 6])):
            at = round(at + rng.choice([0.0, 0.0, 0.1, 3.5]), 2)
            end = round(at + rng.choice([0.0, 0.2, 0.4, 1.0]), 2)
            words.append({"word": rng.choice([" la", " lancha,", "-norte", " ¿peligro?", " x", " " + "ñ" * 12, "日本"]),
                          "start": at, "end": end})
            at = end
        segments.append({"start": words[0]["start"] if words else at, "end": at,
                         "text": "".join(w["word"] for w in words), "words": words})
    return {"segments": segments}


def golden(folder, name):
    result = json.load(open(os.path.join(folder, name)))["result"]
    keep = ("start", "end", "text", "words")
    return {"segments": [{k: s[k] for k in keep} for s in result["segments"]]}


def text(writer, result, options):
    out = io.StringIO()
    writer(".").write_result(result, out, options)
    return out.getvalue()


def main():
    results = [golden(sys.argv[1], n) for n in ("es-01.words.json",)] + [made() for _ in range(20)]
    grid = list(itertools.product((False, True), (None, 1, 9, 24, 42), (None, 1, 2), (None, 1, 4)))
    cases = []
    for i, result in enumerate(results):
        chosen = [grid[0], grid[45]] if i == 0 else []
        outputs = []
        for highlight, width, lines, words in chosen + rng.sample(grid, 4):
            options = {"highlight_words": highlight, "max_line_width": width, "max_line_count": lines, "max_words_per_line": words}
            outputs.append({"options": options, "vtt": text(utils.WriteVTT, result, options), "srt": text(utils.WriteSRT, result, options)})
        cases.append({"result": result, "outputs": outputs})
    json.dump(cases, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
