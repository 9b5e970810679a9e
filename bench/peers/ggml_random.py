#!/usr/bin/env python3
"""Writes a model of random weights in f16 as whisper.cpp reads it.

Usage: ggml_random.py SHAPE OUT.bin
"""
import struct
import sys

import numpy

from shapes import SHAPES, normal

MAGIC, F32, F16 = 0x67676D6C, 0, 1
TEXT_TOKENS = 50257


class Writer:
    def __init__(self, file, shape):
        self.file, self.s = file, shape

    def ints(self, *values):
        self.file.write(struct.pack(f"<{len(values)}i", *values))

    def tensor(self, name, values, kind):
        self.ints(values.ndim, len(name), kind)
        self.ints(*reversed(values.shape))
        self.file.write(name.encode() + values.astype("<f2" if kind == F16 else "<f4").tobytes())

    def linear(self, name, out, inputs, bias=True):
        self.tensor(f"{name}.weight", normal((out, inputs)), F16)
        if bias:
            self.tensor(f"{name}.bias", numpy.zeros(out), F32)

    def norm(self, name):
        self.tensor(f"{name}.weight", numpy.ones(self.s.state), F32)
        self.tensor(f"{name}.bias", numpy.zeros(self.s.state), F32)

    def attention(self, name):
        n = self.s.state
        self.norm(f"{name}_ln")
        for part in ("query", "key", "value", "out"):
            self.linear(f"{name}.{part}", n, n, bias=part != "key")

    def mlp(self, name):
        n = self.s.state
        self.norm(f"{name}_ln")
        self.linear(f"{name}.0", 4 * n, n)
        self.linear(f"{name}.2", n, 4 * n)

    def model(self):
        s, n = self.s, self.s.state
        self.ints(MAGIC, s.vocab, s.audio_ctx, n, s.heads, s.audio_layers, s.text_ctx, n, s.heads, s.text_layers, s.mels, F16)
        self.ints(s.mels, 201)
        self.file.write(numpy.abs(normal((s.mels, 201))).astype("<f4").tobytes())
        self.ints(TEXT_TOKENS)
        for i in range(TEXT_TOKENS):
            self.ints(len(f"w{i}"))
            self.file.write(f"w{i}".encode())
        self.tensor("encoder.positional_embedding", normal((s.audio_ctx, n), 1), F32)
        for i, inputs in ((1, s.mels), (2, n)):
            self.tensor(f"encoder.conv{i}.weight", normal((n, inputs, 3), 3 * inputs), F16)
            self.tensor(f"encoder.conv{i}.bias", numpy.zeros((n, 1)), F32)
        for i in range(s.audio_layers):
            self.attention(f"encoder.blocks.{i}.attn")
            self.mlp(f"encoder.blocks.{i}.mlp")
        self.norm("encoder.ln_post")
        self.tensor("decoder.positional_embedding", normal((s.text_ctx, n), 1), F32)
        self.tensor("decoder.token_embedding.weight", normal((s.vocab, n)), F16)
        for i in range(s.text_layers):
            self.attention(f"decoder.blocks.{i}.attn")
            self.attention(f"decoder.blocks.{i}.cross_attn")
            self.mlp(f"decoder.blocks.{i}.mlp")
        self.norm("decoder.ln")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    with open(sys.argv[2], "wb") as file:
        Writer(file, SHAPES[sys.argv[1]]).model()


main()
