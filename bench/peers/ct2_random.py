#!/usr/bin/env python3
"""Writes a model of random weights in int8 as CTranslate2 (WhisperSpec 3) reads it.

Usage: ct2_random.py SHAPE FOLDER
"""
import json
import pathlib
import struct
import sys

import numpy

from shapes import SHAPES, normal

TYPES = ["float32", "int8", "int16", "int32", "float16", "bfloat16"]
EOT, SOT, TIMESTAMPS = 50257, 50258, 1501


def variables(s):
    """Name to array; every linear layer in int8 with the inverse of its step, as the converter writes them."""
    n, v = s.state, {}

    def linear(name, out, inputs, bias=True):
        w = normal((out, inputs))
        scale = 127 / numpy.abs(w).max(axis=1)
        v[f"{name}/weight"] = numpy.rint(w * scale[:, None]).astype(numpy.int8)
        v[f"{name}/weight_scale"] = scale.astype(numpy.float32)
        if bias:
            v[f"{name}/bias"] = numpy.zeros(out, numpy.float32)

    def norm(name):
        v[f"{name}/gamma"], v[f"{name}/beta"] = numpy.ones(n, numpy.float32), numpy.zeros(n, numpy.float32)

    def attention(name, widths):
        norm(f"{name}/layer_norm")
        for i, width in enumerate(widths):
            linear(f"{name}/linear_{i}", width * n, n)

    def ffn(name):
        norm(f"{name}/layer_norm")
        linear(f"{name}/linear_0", 4 * n, n)
        linear(f"{name}/linear_1", n, 4 * n)

    for i, inputs in ((1, s.mels), (2, n)):
        v[f"encoder/conv{i}/weight"] = normal((n, inputs, 3), 3 * inputs)
        v[f"encoder/conv{i}/bias"] = numpy.zeros(n, numpy.float32)
    for side, positions, layers in (("encoder", s.audio_ctx, s.audio_layers), ("decoder", s.text_ctx, s.text_layers)):
        v[f"{side}/num_heads"] = numpy.int16(s.heads)
        v[f"{side}/position_encodings/encodings"] = normal((positions, n), 1)
        norm(f"{side}/layer_norm")
        for i in range(layers):
            attention(f"{side}/layer_{i}/self_attention", (3, 1))
            if side == "decoder":
                attention(f"{side}/layer_{i}/attention", (1, 2, 1))
            ffn(f"{side}/layer_{i}/ffn")
    linear("decoder/embeddings", s.vocab, n, bias=False)
    for name, value in (("pre_norm", numpy.int8(1)), ("activation", numpy.int8(1)), ("alignment_layer", numpy.int16(-1)),
                        ("alignment_heads", numpy.int16(1)), ("scale_embeddings", numpy.int8(0)),
                        ("start_from_zero_embedding", numpy.int8(0))):
        v[f"decoder/{name}"] = value
    return v


def write(file, values):
    def string(text):
        file.write(struct.pack("H", len(text) + 1) + text.encode() + b"\0")

    file.write(struct.pack("I", 6))
    string("WhisperSpec")
    file.write(struct.pack("2I", 3, len(values)))
    for name in sorted(values):
        a = numpy.asarray(values[name])
        string(name)
        file.write(struct.pack("B", a.ndim) + struct.pack(f"{a.ndim}I", *a.shape))
        file.write(struct.pack("B", TYPES.index(a.dtype.name)) + struct.pack("I", a.nbytes) + a.tobytes())
    aliases = ("weight", "weight_scale")
    file.write(struct.pack("I", len(aliases)))
    for part in aliases:
        string(f"decoder/projection/{part}")
        string(f"decoder/embeddings/{part}")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    shape, folder = SHAPES[sys.argv[1]], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "model.bin", "wb") as file:
        write(file, variables(shape))
    last = shape.vocab - TIMESTAMPS
    tokens = {EOT: "<|endoftext|>", SOT: "<|startoftranscript|>", SOT + 1: "<|en|>", last - 5: "<|translate|>",
              last - 4: "<|transcribe|>", last - 3: "<|startoflm|>", last - 2: "<|startofprev|>",
              last - 1: "<|nospeech|>", last: "<|notimestamps|>"}
    (folder / "vocabulary.json").write_text(json.dumps([tokens.get(i, f"w{i}") for i in range(shape.vocab)]))
    (folder / "config.json").write_text(json.dumps(dict.fromkeys(("suppress_ids", "suppress_ids_begin", "lang_ids",
                                                                  "alignment_heads"), [])))


main()
