#!/usr/bin/env python3
"""Opus copies of the sentences, and a bank of pauses as the codec leaves them.

Writes DATA/coded/NNNNNN.raw for the first N sentences and DATA/pauses.npy, [n, 56000] int16.
"""
import argparse
import concurrent.futures
import os

import numpy as np

import speech

GAP = 1600  # samples between sentences that are coded together
CHUNK = 400
PAUSE = 64000
PAUSE_HEAD = 4800  # the codec's tail of the sentence before
PAUSE_KEPT = 56000


def code_chunk(folder, numbers):
    """Codes some hundred sentences in one stream and cuts them out again."""
    clean = [speech.read_clean(folder, number) for number in numbers]
    gap = np.zeros(GAP, np.int16)
    coded = speech.through_opus(np.concatenate([np.concatenate([x, gap]) for x in clean]), 1)
    at, likeness = 0, []
    for number, x in zip(numbers, clean):
        y = coded[at:at + len(x)]
        at += len(x) + GAP
        y.tofile(speech.coded_path(folder, number))
        if len(y):
            likeness.append(np.corrcoef(x[:len(y)].astype(float), y.astype(float))[0, 1])
    return float(np.mean(likeness))


def make_pauses(folder, numbers, n, seed):
    """Noise of many levels after a sentence, coded, and cut out."""
    rng = np.random.RandomState(seed)
    parts, cuts, at = [], [], 0
    for _ in range(n):
        x = speech.read_clean(folder, numbers[rng.randint(len(numbers))]).astype(np.float32)
        x = np.concatenate([x * 10 ** rng.uniform(-.5, 0), np.zeros(PAUSE)])
        if rng.rand() < .95:
            x = x + rng.randn(len(x)) * 10 ** rng.uniform(.3, 1.4)
        parts.append(x)
        cuts.append(at + len(x) - PAUSE + PAUSE_HEAD)
        at += len(x)
    coded = speech.through_opus(np.concatenate(parts), 3)
    np.save(f"{folder}/pauses.npy", np.stack([coded[cut:cut + PAUSE_KEPT] for cut in cuts]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="the folder that make_speech.py filled")
    parser.add_argument("-n", type=int, default=7200, help="sentences (default: %(default)s)")
    parser.add_argument("--pauses", type=int, default=240)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    os.makedirs(os.path.join(args.data, "coded"), exist_ok=True)
    numbers = [row[0] for row in speech.read_table(args.data)]
    first = numbers[:args.n]
    chunks = [first[i:i + CHUNK] for i in range(0, len(first), CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for likeness in pool.map(lambda chunk: code_chunk(args.data, chunk), chunks):
            print(f"correlation with the clean speech {likeness:.3f}", flush=True)
    make_pauses(args.data, numbers, args.pauses, args.seed)


if __name__ == "__main__":
    main()
