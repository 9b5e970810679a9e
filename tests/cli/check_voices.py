#!/usr/bin/env python3
"""The command against openai/whisper's: every note of tests/data/nano/voices, by the JSON it writes.

Text, language and seeks must be equal, segment times within 20 ms, and the word error rate no
worse than openai/whisper's with the same model; with its weights in 16 bits at most 0.3 points
worse.

Usage: check_voices.py CARACOLA SOURCE_DIR        prints TAP
"""
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

TIMES = 0.02 + 1e-6
NARROW = ("float16", "bfloat16")
POINTS = 0.3  # by which narrow weights may be worse
FLAGS = ["--temperature", "0", "--temperature_increment_on_fallback", "None", "--beam_size", "None",
         "--output_format", "json", "--quiet"]


def words(text):
    return re.sub(r"[^\w\s]", "", text.lower()).split()


def errors(known, words):
    """Word substitutions, insertions and deletions."""
    row = list(range(len(words) + 1))
    for i, word in enumerate(known, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(words, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def differences(ours, theirs):
    for key in ("text", "language"):
        if ours[key] != theirs[key]:
            yield f"{key}: {ours[key]!r}, openai/whisper has {theirs[key]!r}"
    if len(ours["segments"]) != len(theirs["segments"]):
        yield f"{len(ours['segments'])} segments, openai/whisper has {len(theirs['segments'])}"
    for mine, other in zip(ours["segments"], theirs["segments"]):
        where = f"segment {mine['id']}"
        for key in ("id", "seek", "text", "tokens"):
            if mine[key] != other[key]:
                yield f"{where} {key}: {mine[key]!r}, openai/whisper has {other[key]!r}"
        for key in ("start", "end"):
            if abs(mine[key] - other[key]) > TIMES:
                yield f"{where} {key}: {mine[key]}, openai/whisper has {other[key]}"
        for key in ("avg_logprob", "compression_ratio", "no_speech_prob"):
            theirs_value = other[key] if other[key] is not None else math.nan
            mine_value = mine[key] if mine[key] is not None else math.nan
            if math.isnan(theirs_value) != math.isnan(mine_value) or (
                    abs(mine_value - theirs_value) > 2e-2):
                yield f"{where} {key}: {mine_value}, openai/whisper has {theirs_value}"


def compare(path, theirs):
    try:
        ours = json.loads(path.read_text())
        return ours, list(differences(ours, theirs))
    except (OSError, ValueError, KeyError) as problem:
        return {"text": ""}, [str(problem)]


def errors_with(caracola, kind, model, notes):
    """Words wrong with the model's weights stored as kind."""
    with tempfile.TemporaryDirectory() as out:
        narrow = pathlib.Path(out) / "narrow.cara"
        subprocess.run([caracola, "model", "convert", "--quiet", "--compute_type", kind, "--vocab",
                        model.with_suffix(".tiktoken"), model, narrow], check=True)
        subprocess.run([caracola, "transcribe", "--model", narrow, *FLAGS, "--output_dir", out,
                        *notes], check=True)
        return sum(errors(words(note.with_suffix(".txt").read_text()),
                          words(json.loads((pathlib.Path(out) / f"{note.stem}.json").read_text())["text"]))
                   for note in notes)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    caracola, data = sys.argv[1], pathlib.Path(sys.argv[2]) / "tests" / "data"
    notes = sorted((data / "nano" / "voices").glob("*.ogg"))
    print(f"1..{len(notes) + 2 + len(NARROW)}", flush=True)
    failed, wer, golden_wer, n_words = 0, 0, 0, 0
    model = data / "nano" / "nano.pt"
    command = [caracola, "transcribe", "--model", model, "--vocab", model.with_suffix(".tiktoken")]
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([*command, *FLAGS, "--output_dir", out, *notes], capture_output=True,
                              text=True)
        for number, note in enumerate(notes, 1):
            theirs = json.loads((data / "golden/transcripts" / f"{note.stem}.json").read_text())
            result = pathlib.Path(out) / f"{note.stem}.json"
            ours, wrong = compare(result, theirs)
            known = words(note.with_suffix(".txt").read_text())
            n_words += len(known)
            wer += errors(known, words(ours["text"]))
            golden_wer += errors(known, words(theirs["text"]))
            failed += bool(wrong)
            print(f"{'not ok' if wrong else 'ok'} {number} - {note.stem}", flush=True)
            for line in wrong[:10]:
                print(f"# {line}")
    ok = done.returncode == 0 and not done.stdout and not done.stderr
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {len(notes) + 1} - exit status and silence")
    if not ok:
        print(f"# status {done.returncode}: {done.stdout[:500]}{done.stderr[:500]}")
    worse = wer > golden_wer or n_words < 500
    failed += worse
    print(f"{'not ok' if worse else 'ok'} {len(notes) + 2} - word error rate no worse than "
          f"openai/whisper's")
    print(f"# {100 * wer / n_words:.2f} %, openai/whisper {100 * golden_wer / n_words:.2f} %")
    for number, kind in enumerate(NARROW, len(notes) + 3):
        wrong = errors_with(caracola, kind, model, notes)
        worse = 100 * (wrong - wer) / n_words > POINTS
        failed += worse
        print(f"{'not ok' if worse else 'ok'} {number} - word error rate in {kind}", flush=True)
        print(f"# {wrong} of {n_words} words wrong, {wer} in float32")
    sys.exit(1 if failed else 0)


main()
