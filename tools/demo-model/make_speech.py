#!/usr/bin/env python3
"""Speaks random sentences: DATA/clean/NNNNNN.raw (16 kHz, mono, 16 bit) and DATA/sentences.tsv."""
import argparse
import concurrent.futures
import os
import random

import numpy as np

import grammar
import speech


def plan(n, seed):
    rng = random.Random(seed)
    for number in range(n):
        language = "es" if rng.random() < .65 else "en"
        voices = ["es", "es-419", "es-419"] if language == "es" else ["en-us", "en-gb", "en-us"]
        voice = rng.choice(voices) + rng.choice(speech.VARIANTS)
        text = grammar.sentence(rng, language)
        speed, pitch, gap = rng.randint(135, 180), rng.randint(35, 65), rng.randint(1, 6)
        yield number, language, text, voice, speed, pitch, gap if gap > 4 else 0


def speak(folder, job):
    number, language, text, voice, speed, pitch, gap = job
    samples = speech.say(text, voice, speed, pitch, gap)
    if samples is None:
        return None
    samples = speech.to_int16(samples / max(1, np.abs(samples).max()) * speech.PEAK)
    samples.tofile(speech.clean_path(folder, number))
    return number, language, len(samples), voice, text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="the folder to fill")
    parser.add_argument("-n", type=int, default=20000, help="sentences (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    os.makedirs(os.path.join(args.data, "clean"), exist_ok=True)
    table = os.path.join(args.data, "sentences.tsv")
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool, \
            open(table, "w", encoding="utf-8") as file:
        for row in pool.map(lambda job: speak(args.data, job), plan(args.n, args.seed)):
            if row:
                file.write("\t".join(map(str, row)) + "\n")


if __name__ == "__main__":
    main()
