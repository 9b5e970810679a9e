#!/usr/bin/env python3
"""Learns a byte-level BPE from the grammar and writes it as tiktoken ranks.

The layout is that of Whisper's multilingual vocabulary: 50,257 ranks, that is 256 bytes, the
learned merges, and filler that no text can reach. So the ids of the special tokens equal the real
models'.
"""
import argparse
import base64
import collections
import random
import re

import grammar

N_RANKS = 50257

END_OF_TEXT = 50257
START = 50258
LANGUAGES = {"en": 50259, "es": 50262}
TRANSCRIBE = 50359
PREVIOUS = 50361
NO_SPEECH = 50362
NO_TIMESTAMPS = 50363
FIRST_TIMESTAMP = 50364
N_TIMESTAMPS = 1501

# GPT-2's pattern, in the words of Python's re: \w less digits and underscore for letters.
PIECES = re.compile(
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?[^\s\w]+|\s+(?!\S)|\s+""", re.U)


def byte_order():
    """GPT-2's order of the single bytes: printable ones first."""
    first = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return first + [byte for byte in range(256) if byte not in first]


def count_pieces(n_sentences, seed):
    rng = random.Random(seed)
    counts = collections.Counter()
    for _ in range(n_sentences):
        for language in ("es", "en"):
            counts.update(PIECES.findall(" " + grammar.sentence(rng, language)))
    # Words without a space before them must be reachable too.
    for piece, count in list(counts.items()):
        if piece.startswith(" "):
            counts[piece[1:]] += max(1, count // 50)
    return counts


def merge_pair(tokens, left, right):
    merged, i = [], 0
    while i < len(tokens):
        if i + 1 < len(tokens) and tokens[i] == left and tokens[i + 1] == right:
            merged.append(left + right)
            i += 2
        else:
            merged.append(tokens[i])
            i += 1
    return merged


def learn_merges(counts, n_merges):
    """Byte-pair encoding: the commonest pair becomes a token, again and again."""
    split = {piece: [bytes([byte]) for byte in piece.encode()] for piece in counts}
    merges = []
    for _ in range(n_merges):
        pairs = collections.Counter()
        for piece, tokens in split.items():
            for pair in zip(tokens, tokens[1:]):
                pairs[pair] += counts[piece]
        if not pairs:
            break
        (left, right), count = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if count < 3:
            break
        merges.append(left + right)
        for piece, tokens in split.items():
            if len(tokens) > 1:
                split[piece] = merge_pair(tokens, left, right)
    return merges


def build(n_sentences=30000, seed=7, n_merges=900):
    """The tokens by rank, and how many of them are no filler."""
    tokens = [bytes([byte]) for byte in byte_order()]
    tokens += dict.fromkeys(learn_merges(count_pieces(n_sentences, seed), n_merges))
    tokens = list(dict.fromkeys(tokens))
    n_learned = len(tokens)
    tokens += [b"\xff\xfe" + str(rank).encode() for rank in range(n_learned, N_RANKS)]
    return tokens, n_learned


class Encoder:
    """Text to ids by a tiktoken file."""

    def __init__(self, path):
        with open(path, encoding="ascii") as file:
            pairs = (line.split() for line in file)
            self.ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
        self.n_bytes = {rank: len(token) for token, rank in self.ranks.items()}
        self.cache = {}

    def encode_piece(self, piece):
        if piece in self.cache:
            return self.cache[piece]
        parts = [bytes([byte]) for byte in piece.encode()]
        while True:
            ranked = [(self.ranks[parts[i] + parts[i + 1]], i) for i in range(len(parts) - 1)
                      if parts[i] + parts[i + 1] in self.ranks]
            if not ranked:
                break
            _, i = min(ranked)
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        self.cache[piece] = [self.ranks[part] for part in parts]
        return self.cache[piece]

    def encode(self, text):
        return [rank for piece in PIECES.findall(text) for rank in self.encode_piece(piece)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", default="demo.tiktoken", help="the file to write")
    parser.add_argument("--sentences", type=int, default=30000, help="of each language")
    parser.add_argument("--merges", type=int, default=900)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    tokens, n_learned = build(args.sentences, args.seed, args.merges)
    with open(args.out, "w", encoding="ascii") as file:
        for rank, token in enumerate(tokens):
            file.write(f"{base64.b64encode(token).decode()} {rank}\n")
    print(f"{args.out}: {n_learned} tokens and {N_RANKS - n_learned} of filler")


if __name__ == "__main__":
    main()
