#!/usr/bin/env python3
"""Writes the expected values of tests/unit/whisper/test_words.c, as openai/whisper gives them.

    PYTHONPATH=path/to/openai-whisper python3 make.py > cases.json

Needs torch, numba and tiktoken (the real one, or one of the same behaviour). Its functions are
called as they are; only the model, and for the placing of words find_alignment(), are replaced.
"""
import json
import random
import sys

import numpy as np
import torch
import whisper.timing as timing
import whisper.transcribe  # noqa: F401 (the module, not the function of the same name)

transcribing = sys.modules["whisper.transcribe"]
EOT, BEGIN = 50257, 50364
rng = random.Random(5)
MARKS = [".", ",", "?", "。", "！", " \"", " (", " ¿", ")", "'", " -", ".\"", " "]
WORDS = [" la", " lancha", " pesca", "ndo", " red", " a", " tiburón", "日", "本"]


def floats(values):
    return [None if np.isnan(x) else float(x) for x in np.asarray(values, dtype=np.float64).ravel()]


def attention(heads, tokens, positions, used):
    torch.manual_seed(heads * 1000 + tokens * 100 + positions)
    scores = torch.randn(heads, tokens, positions) * 3
    weights = scores[:, :, :used].softmax(dim=-1)
    std, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    matrix = timing.median_filter((weights - mean) / std, 7).sum(axis=0)
    return {"heads": heads, "tokens": tokens, "positions": positions, "used": used,
            "scores": floats(scores), "sum": floats(matrix)}


def path(tokens, positions, steps):
    """Few different values give ties."""
    matrix = np.array([[rng.randrange(steps) / 4 for _ in range(positions)] for _ in range(tokens)], dtype=np.float32)
    text, time = timing.dtw_cpu(-matrix.astype(np.float64))
    jumps = np.pad(np.diff(text), (1, 0), constant_values=1).astype(bool)
    return {"tokens": tokens, "positions": positions, "matrix": floats(matrix), "starts": [int(x) for x in time[jumps]]}


def words_of(n, at=0.0):
    out = []
    for _ in range(n):
        length = rng.choice([0, 0.02, 0.1, 0.2, 0.3, 0.5, 0.9, 2.4])
        word = rng.choice(MARKS) if rng.random() < 0.3 else rng.choice(WORDS)
        out.append({"word": word, "n": rng.randint(1, 3), "start": round(at * 50) / 50,
                    "end": round((at + length) * 50) / 50, "probability": round(rng.random() ** 0.5, 3)})
        at += length
    return out, at


class Tokens:
    eot = EOT


def timings(words):
    return [timing.WordTiming(w["word"], [7] * w["n"], w["start"], w["end"], w["probability"]) for w in words]


def given_words(segments):
    return [[[w["word"], w["start"], w["end"], w["probability"]] for w in s["words"]] for s in segments]


def placing():
    seek = rng.choice([0, 0, 1234, 8840])
    words, end = words_of(rng.randint(0, 14), rng.choice([0, 0, 1.5]))
    n_texts, left = [], sum(w["n"] for w in words)
    while left > 0:
        n_texts.append(min(left, rng.randint(0, 9)))
        left -= n_texts[-1]
    n_texts = n_texts or [0]
    offset, segments, at = seek / 100, [], 0.0
    for n in n_texts:
        start = at + rng.choice([0, 0, 0.4, 1.2])
        at = start + rng.choice([0.2, 1.0, 3.0])
        segments.append({"seek": seek, "start": offset + start, "end": offset + at, "tokens": [7] * n + [BEGIN + 5]})
    before = [[s["start"], s["end"]] for s in segments]
    last = rng.choice([0.0, max(0.0, offset - 0.3), max(0.0, offset - 9)])
    timing.find_alignment = lambda *args, **kwargs: timings(words)
    timing.add_word_timestamps(segments=segments, model=None, tokenizer=Tokens, mel=None, num_frames=3000,
                               last_speech_timestamp=last)
    return {"seek": seek, "last_speech_timestamp": last, "timings": words, "n_texts": n_texts, "segments": before,
            "words": given_words(segments), "moved": [[s["start"], s["end"]] for s in segments]}


class Stop(Exception):
    pass


class Dims:
    n_mels, n_audio_ctx, n_text_ctx, n_vocab = 80, 1500, 448, 51865


class Model:
    """Gives one window after the other, and stops transcribe() when there is none left."""
    dims, device, is_multilingual, num_languages = Dims, torch.device("cpu"), True, 99

    def __init__(self, windows):
        self.windows, self.seeks = windows, []

    def decode(self, mel, options):
        frame = sys._getframe()
        while "seek_clip_start" not in frame.f_locals or "all_segments" not in frame.f_locals:
            frame = frame.f_back
        self.seeks.append((frame.f_locals["seek"], len(frame.f_locals["all_segments"])))
        if len(self.seeks) > len(self.windows):
            raise Stop
        window = self.windows[len(self.seeks) - 1]
        return whisper.DecodingResult(audio_features=None, language="es", tokens=window["tokens"], avg_logprob=-0.1,
                                      no_speech_prob=0.01, temperature=0.0, compression_ratio=1.0)


def window(size):
    """Tokens of up to three segments, and words for them by the segments' times."""
    tokens, segments, at = [], [], rng.choice([0.0, 0.0, 1.2, 4.0])
    for _ in range(rng.randint(1, 3)):
        n = rng.randint(1, 4)
        words, end = words_of(n, at)
        if rng.random() < 0.4:
            for w in words:
                w["probability"] = 0.05
        end = min(end, 29.5)
        tokens += [BEGIN + round(at * 50)] + [7] * sum(w["n"] for w in words) + [BEGIN + max(round(end * 50), round(at * 50) + 1)]
        segments.append([dict(w, start=min(w["start"], 29.5), end=min(w["end"], 29.5)) for w in words])
        at = min(end + rng.choice([0.0, 0.0, 0.5, 3.0, 6.0]), 29.4)
    if rng.random() < 0.5:  # pairs only: no single timestamp at the end
        tokens.append(tokens[-1])
    return {"tokens": tokens, "timings": [w for s in segments for w in s]}


def windows():
    threshold = rng.choice([None, 0.0, 0.5, 1.0, 2.0, 5.0])
    script = [window(3000) for _ in range(rng.randint(1, 4))]
    model = Model(script)
    frames = rng.choice([1500, 3000, 6000, 12000])
    timing.find_alignment = lambda *args, **kwargs: timings(script[len(model.seeks) - 1]["timings"])
    shown = []
    original = timing.add_word_timestamps

    def record(segments, last_speech_timestamp, **kwargs):
        original(segments=segments, last_speech_timestamp=last_speech_timestamp, **kwargs)
        shown.append({"last_speech_timestamp": last_speech_timestamp, "size": kwargs["num_frames"],
                      "segments": [[s["start"], s["end"]] for s in segments], "words": given_words(segments)})

    transcribing.add_word_timestamps = record
    audio = torch.zeros(frames * 160)
    try:
        transcribing.transcribe(model, audio, language="es", word_timestamps=True, fp16=False, temperature=0.0,
                                hallucination_silence_threshold=threshold, verbose=None)
    except Stop:
        pass
    out = []
    for i, (seek, n_segments) in enumerate(model.seeks[:-1] if len(model.seeks) > len(script) else model.seeks):
        after = model.seeks[i + 1] if i + 1 < len(model.seeks) else None
        if after is None:
            break  # the loop ended: where it would go on is not seen
        single = len(script[i]["tokens"]) >= 2 and script[i]["tokens"][-2] < BEGIN
        pair = script[i]["tokens"][-1] - BEGIN
        cut = shown[i]["size"] if single else pair * 2
        out.append(dict(shown[i], seek=seek, single=single, advance=cut, next_seek=after[0], kept=after[1] - n_segments))
    return {"threshold": threshold, "frames": frames, "windows": out}


def main():
    out = {
        "attention": [attention(2, 5, 12, used) for used in (1, 2, 3, 4, 7, 12)] + [attention(3, 9, 40, 33)],
        "paths": [path(n, m, steps) for n, m, steps in [(1, 1, 9), (1, 5, 9), (4, 1, 9), (3, 9, 3), (6, 30, 2), (9, 40, 50),
                                                         (12, 12, 4), (5, 25, 1)]],
        "placing": [placing() for _ in range(80)],
        "runs": [run for run in (windows() for _ in range(80)) if run["windows"]],
    }
    json.dump(out, sys.stdout, separators=(",", ":"), ensure_ascii=True)
    print()


if __name__ == "__main__":
    main()
