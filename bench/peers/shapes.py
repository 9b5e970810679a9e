"""The published shapes, and random weights of standard deviation 1 / sqrt(fan-in)."""
import collections

import numpy

Shape = collections.namedtuple("Shape", "mels audio_ctx state heads audio_layers vocab text_ctx text_layers")
SHAPES = {"tiny": Shape(80, 1500, 384, 6, 4, 51865, 448, 4), "base": Shape(80, 1500, 512, 8, 6, 51865, 448, 6),
          "small": Shape(80, 1500, 768, 12, 12, 51865, 448, 12),
          "medium": Shape(80, 1500, 1024, 16, 24, 51865, 448, 24),
          "large-v3-turbo": Shape(128, 1500, 1280, 20, 32, 51866, 448, 4)}

_random = numpy.random.default_rng(1)


def normal(shape, fan_in=None):
    return _random.standard_normal(shape, dtype=numpy.float32) / numpy.float32(numpy.sqrt(fan_in or shape[-1]))
