"""Speech from espeak-ng, and the codec that WhatsApp uses, by Debian's command line tools."""
import os
import subprocess
import tempfile

import numpy as np
from scipy.signal import resample_poly

RATE = 16000
VARIANTS = ["", "+m3", "+f2", "+f5"]
PEAK = 20000


def say(text, voice, speed, pitch, gap=0):
    """Samples at 16 kHz as float32, without the silence around them; None where there are none."""
    wav = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-g", str(gap), "--stdout",
         text], capture_output=True, check=True).stdout
    start = wav.find(b"data") + 8  # espeak-ng does not know the length in advance: read to the end
    samples = np.frombuffer(wav[start:start + (len(wav) - start) // 2 * 2], dtype=np.int16)
    speech = resample_poly(samples.astype(np.float32), 320, 441)  # from 22,050 Hz
    loud = np.nonzero(np.abs(speech) > 60)[0]
    if len(loud) == 0:
        return None
    return speech[max(0, loud[0] - 320):loud[-1] + 640]


def to_int16(samples):
    return np.clip(samples, -32767, 32767).astype(np.int16)


def encode_opus(samples, path, complexity=10):
    """16 kHz mono, 16 kbit/s, 60 ms frames, as WhatsApp's notes are."""
    subprocess.run(
        ["opusenc", "--quiet", "--raw", "--raw-rate", str(RATE), "--raw-chan", "1", "--raw-bits",
         "16", "--bitrate", "16", "--framesize", "60", "--comp", str(complexity), "-", path],
        input=to_int16(samples).tobytes(), check=True)


def through_opus(samples, complexity):
    """What is left of the samples after the codec."""
    with tempfile.TemporaryDirectory() as folder:
        ogg, raw = os.path.join(folder, "a.ogg"), os.path.join(folder, "a.raw")
        encode_opus(samples, ogg, complexity)
        subprocess.run(["opusdec", "--quiet", "--rate", str(RATE), ogg, raw], check=True)
        return np.fromfile(raw, dtype=np.int16)


def read_table(folder):
    """The rows of sentences.tsv: id, language, samples, voice, text."""
    with open(os.path.join(folder, "sentences.tsv"), encoding="utf-8") as file:
        for line in file:
            number, language, n_samples, voice, text = line.rstrip("\n").split("\t")
            yield int(number), language, int(n_samples), voice, text


def clean_path(folder, number):
    return f"{folder}/clean/{number:06d}.raw"


def coded_path(folder, number):
    return f"{folder}/coded/{number:06d}.raw"


def read_clean(folder, number):
    return np.fromfile(clean_path(folder, number), dtype=np.int16)
