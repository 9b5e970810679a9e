"""Windows of 30 s for training: samples, tokens, and where each token is spoken."""
import os
import random

import numpy as np
import torch

import speech
import vocabulary as v
from model import compact

CHARACTERS = sorted(set(" abcdefghijklmnopqrstuvwxyzáéíóúüñ"))
CHARACTER_ID = {c: i + 1 for i, c in enumerate(CHARACTERS)}  # 0 is CTC's blank
HELD_OUT = 300  # sentences of each language that are never trained on
FRAMES = 50  # encoder frames a second
NEAR_WORD = 12  # frames to each side where a token of text may look
NEAR_EDGE = 2  # the same for a timestamp


def characters(text):
    return [CHARACTER_ID[c] for c in text.lower() if c in CHARACTER_ID]


def timestamp(seconds):
    return v.FIRST_TIMESTAMP + min(v.N_TIMESTAMPS - 1, int(round(seconds / .02)))


def brown(noise):
    noise = np.cumsum(noise).astype(np.float32)
    return noise - np.convolve(noise, np.ones(2001) / 2001, "same").astype(np.float32)


class Sentences:
    """Reads the sentences of a data folder, with the time in them at which each token is spoken."""

    def __init__(self, folder, vocabulary_path, seed):
        self.rng = random.Random(seed)
        self.noise_rng = np.random.RandomState(seed)
        self.folder = folder
        self.encoder = v.Encoder(vocabulary_path)
        self.by_language = {"es": [], "en": []}
        for number, language, n_samples, _, text in speech.read_table(folder):
            self.by_language[language].append((number, n_samples, text))
        for language, rows in self.by_language.items():
            self.by_language[language] = rows[min(HELD_OUT, len(rows) // 10):]

    def choose(self, language):
        return self.rng.choice(self.by_language[language])

    def read(self, number, coded_share=0.0):
        """At a slightly changed speed, float32."""
        path = speech.coded_path(self.folder, number)
        if self.rng.random() >= coded_share or not os.path.exists(path):
            path = speech.clean_path(self.folder, number)
        samples = np.fromfile(path, dtype=np.int16).astype(np.float32) / 32768
        speed = self.rng.uniform(.96, 1.04)
        n = int(len(samples) / speed)
        return np.interp(np.arange(n) * speed, np.arange(len(samples)), samples).astype(np.float32)

    def encode(self, text):
        """Token ids of a sentence, with the space before it."""
        return self.encoder.encode(" " + text)

    def places(self, tokens, begin, end):
        """(frame, tolerance) of each token, its bytes taken as evenly spread."""
        n_bytes = np.array([self.encoder.n_bytes[token] for token in tokens])
        middles = np.cumsum(n_bytes) - n_bytes / 2
        return [((begin + (end - begin) * middle / n_bytes.sum()) * FRAMES, NEAR_WORD)
                for middle in middles]


class Windows(Sentences):
    """`full` is the share of windows that are filled with speech to the end."""

    def __init__(self, folder, vocabulary_path, seed, full=.45):
        super().__init__(folder, vocabulary_path, seed)
        self.full = full
        self.pauses = np.load(os.path.join(folder, "pauses.npy"))

    def lay_out(self, samples, language, seconds):
        """Puts sentences into the window: [(begin, end, text)], and where its end cuts one off."""
        rng, n = self.rng, len(samples)
        at = rng.uniform(0, 1.0) if rng.random() < .5 else rng.uniform(0, .3)
        gain = 10 ** rng.uniform(-.8, .2)
        if rng.random() < .09:
            left = 0
        else:
            left = 99 if rng.random() < self.full else rng.randint(1, 6)
        if rng.random() < .3:  # what the seek left of the sentence before
            tail = self.read(self.choose(language)[0], .4)
            tail = tail[-int(rng.uniform(.01, .08) * speech.RATE):]
            samples[:len(tail)] += tail * gain
        said, cut = [], None
        while left > 0 and at <= seconds - .8:
            number, _, text = self.choose(language)
            voice = self.read(number, .4) * (gain * 10 ** rng.uniform(-.25, .25))
            begin = int(at * speech.RATE)
            if begin + len(voice) > n - 1600:
                if said and rng.random() < .6 and seconds - at > .6:
                    end = min(n, begin + len(voice))
                    samples[begin:end] += voice[:end - begin]
                    cut = at
                break
            samples[begin:begin + len(voice)] += voice
            said.append((at, at + len(voice) / speech.RATE, text))
            at = said[-1][1] + (rng.uniform(.28, 1.05) if rng.random() < .85
                                else rng.uniform(.1, 2.5))
            left -= 1
        return said, cut

    def add_noise(self, samples, said, cut):
        """Up to the note's end; digital silence follows."""
        rng, end = self.rng, len(samples)
        if not said and rng.random() < .75:
            end = int(rng.uniform(.03, 1.5) * speech.RATE)
        if said and cut is None and rng.random() < .75:
            end = min(end, int((said[-1][1] + rng.uniform(.1, 1.0)) * speech.RATE))
        if rng.random() < .5:  # as the codec leaves it
            pause = self.pauses[rng.randrange(len(self.pauses))].astype(np.float32) / 32768
            samples[:end] += np.resize(np.roll(pause * rng.uniform(.6, 1.5),
                                               rng.randrange(len(pause))), end)
        elif rng.random() < .8:
            noise = self.noise_rng.randn(end).astype(np.float32)
            if rng.random() < .3 and end > 4000:
                noise = brown(noise)
            samples[:end] += noise / noise.std() * 10 ** rng.uniform(-4.5, -3)

    def previous(self, language, likely):
        """Sometimes a prompt of earlier text, mostly with timestamps, as transcribe() has it."""
        rng, tokens = self.rng, []
        if rng.random() >= likely:
            return tokens
        timed, at = rng.random() < .75, rng.uniform(0, .6)
        for _ in range(rng.randint(1, 9)):
            _, n_samples, text = self.choose(language)
            end = at + n_samples / speech.RATE
            if end > 30:
                break
            tokens += ([timestamp(at)] if timed else []) + self.encode(text)
            tokens += [timestamp(end)] if timed else []
            at = end + rng.uniform(.3, 1.0)
        return [v.PREVIOUS] + tokens[-223:]

    def window(self, seconds=30.0):
        rng = self.rng
        samples = np.zeros(int(seconds * speech.RATE), np.float32)
        language = "es" if rng.random() < .62 else "en"
        said, cut = self.lay_out(samples, language, seconds)
        self.add_noise(samples, said, cut)
        timed = rng.random() < .9
        edges = np.zeros((len(samples) // 320, 2), np.float32)
        body, spoken, places = [], [], []
        for begin, end, text in said:
            for column, second in ((0, begin), (1, end)):
                frame = int(round(second * FRAMES))
                edges[max(0, frame - 1):frame + 2, column] = 1
            tokens = self.encode(text)
            spoken += characters(" " + text)
            body += ([timestamp(begin)] if timed else []) + tokens
            body += [timestamp(end)] if timed else []
            places += [(begin * FRAMES, NEAR_EDGE)] if timed else []
            places += self.places(tokens, begin, end)
            places += [(end * FRAMES, NEAR_EDGE)] if timed else []
        if cut is not None:
            frame = int(round(cut * FRAMES))
            edges[max(0, frame - 1):frame + 2, 0] = 1
            if timed:
                body.append(timestamp(cut))
                places.append((cut * FRAMES, NEAR_EDGE))
        prompt = self.previous(language, .35 if said else .6)
        head = prompt + [v.START, v.LANGUAGES[language], v.TRANSCRIBE]
        if said:
            head += [] if timed else [v.NO_TIMESTAMPS]
            # Where nothing follows, the last edge is what shows it.
            last = ((cut if cut is not None else said[-1][1]) * FRAMES, NEAR_EDGE)
            sequence = head + body + [v.END_OF_TEXT]
            places = [None] * len(head) + places + [last]
        else:
            sequence = head + [v.FIRST_TIMESTAMP if timed else v.NO_TIMESTAMPS, v.END_OF_TEXT]
            places = [None] * len(sequence)
        assert len(places) == len(sequence)
        return dict(samples=samples, tokens=[compact(token) for token in sequence],
                    n_prompt=len(prompt), places=places, edges=edges, silent=not said,
                    characters=spoken if said and cut is None else None)


def collate(windows):
    """Inputs [B, T], targets [B, T] with -100 where none, and each target's frame and tolerance."""
    length = max(len(window["tokens"]) for window in windows)
    tokens = torch.full((len(windows), length), compact(v.END_OF_TEXT))
    targets = torch.full((len(windows), length - 1), -100)
    frames = torch.full((len(windows), length - 1), -1.)
    tolerance = torch.zeros(len(windows), length - 1)
    for i, window in enumerate(windows):
        n, first = len(window["tokens"]), window["n_prompt"]
        tokens[i, :n] = torch.tensor(window["tokens"])
        targets[i, first:n - 1] = tokens[i, first + 1:n]
        if window["silent"]:  # the no-speech token after the start; no language is expected
            targets[i, first] = compact(v.NO_SPEECH)
            targets[i, first + 1] = -100
        for j, place in enumerate(window["places"][1:]):
            if place is not None:
                frames[i, j], tolerance[i, j] = place
    return tokens[:, :-1], targets, frames, tolerance
