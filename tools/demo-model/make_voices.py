#!/usr/bin/env python3
"""Makes voice notes as WhatsApp sends them, with their texts: OUT/{es,en}-NN.ogg and .txt."""
import argparse
import os
import random

import numpy as np

import grammar
import speech


def note(rng, n_sentences, language):
    """One speaker, some sentences, pauses and a little noise: samples and text."""
    voices = ["es", "es-419"] if language == "es" else ["en-us", "en-gb"]
    voice = rng.choice(voices) + rng.choice(speech.VARIANTS)
    speed, pitch = rng.randint(140, 175), rng.randint(38, 62)
    parts = [np.zeros(int(speech.RATE * rng.uniform(.05, .5)))]
    texts = []
    for _ in range(n_sentences):
        text = grammar.sentence(rng, language)
        said = speech.say(text, voice, speed, pitch)
        said = said / np.abs(said).max() * speech.PEAK
        texts.append(text)
        parts += [said * 10 ** rng.uniform(-.5, 0),
                  np.zeros(int(speech.RATE * rng.uniform(.3, 1.0)))]
    samples = np.concatenate(parts)
    noise = np.random.RandomState(rng.randint(0, 1 << 30)).randn(len(samples))
    return samples + noise * 10 ** rng.uniform(.3, 1.3), " ".join(texts)


def write(folder, name, samples, text):
    speech.encode_opus(samples, os.path.join(folder, name + ".ogg"))
    with open(os.path.join(folder, name + ".txt"), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    print(f"{name}: {len(samples) / speech.RATE:.1f} s: {text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="the folder to write")
    parser.add_argument("-n", type=int, default=40, help="notes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--long", type=int, metavar="SENTENCES",
                        help="one Spanish note of so many sentences, long-es, in place of the rest")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    rng = random.Random(args.seed)
    if args.long:
        write(args.out, "long-es", *note(rng, args.long, "es"))
        return
    for i in range(args.n):
        language = "es" if i % 3 else "en"
        n_sentences = rng.choice([1, 1, 1, 2, 2, 3, 4])
        write(args.out, f"{language}-{i:02d}", *note(rng, n_sentences, language))


if __name__ == "__main__":
    main()
