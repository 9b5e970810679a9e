"""Windows of 5 to 30 s, clean and simple, for the first stages of training."""
import numpy as np

import speech
import vocabulary as v
from model import compact
from windows import FRAMES, NEAR_EDGE, Sentences, brown, characters, timestamp


class ShortWindows(Sentences):
    def read_at_level(self, number):
        return self.read(number) * 10 ** self.rng.uniform(-1.0, 0.2)

    def lay_out(self, samples, language, seconds):
        rng, n = self.rng, len(samples)
        said, cut, at = [], None, rng.uniform(0, .6)
        if rng.random() < .04:
            left = 0
        elif seconds < 10:
            left = 1 if rng.random() < .5 else 3
        else:
            left = 99 if rng.random() < .6 else rng.randint(1, 6)
        while left > 0 and at <= seconds - .8:
            number, length, text = self.choose(language)
            if at * speech.RATE + length / .88 > n:
                if said and seconds > 10 and rng.random() < .5 and seconds - at > 1.0:
                    voice, begin = self.read_at_level(number), int(at * speech.RATE)
                    end = min(n, begin + len(voice))
                    samples[begin:end] += voice[:end - begin]
                    cut = at
                if said or seconds > 10:
                    break
                at = 0
                number, length, text = min((self.choose(language) for _ in range(12)),
                                           key=lambda row: row[1])
                if length / .88 > n:
                    continue
            voice, begin = self.read_at_level(number), int(at * speech.RATE)
            samples[begin:begin + len(voice)] += voice
            said.append((at, at + len(voice) / speech.RATE, text))
            at = said[-1][1] + (rng.uniform(.25, 1.2) if rng.random() < .8 else rng.uniform(.1, 3))
            left -= 1
        return said, cut

    def frame_targets(self, said, n_frames):
        """A character for each frame, spread evenly over each sentence: where to attend first."""
        frames = np.zeros(n_frames, np.int64)
        for begin, end, text in said:
            spoken = np.array(characters(" " + text))
            first = int(begin * FRAMES) + 1
            last = max(first + 1, int(end * FRAMES) - 2)
            index = np.arange(first, min(last, n_frames))
            frames[index] = spoken[np.minimum(len(spoken) - 1,
                                              (index - first) * len(spoken) // (last - first))]
        return frames

    def window(self, seconds, offset=0.0):
        """`offset` seconds stand before the window: its timestamps count from there."""
        rng = self.rng
        samples = np.zeros(int(seconds * speech.RATE), np.float32)
        language = "es" if rng.random() < .62 else "en"
        said, cut = self.lay_out(samples, language, seconds)
        if rng.random() < .8:
            noise = self.noise_rng.randn(len(samples)).astype(np.float32)
            if rng.random() < .5:
                noise = brown(noise)
            samples += noise / noise.std() * 10 ** rng.uniform(-4.5, -3)
        timed = rng.random() < .85
        body, spoken, places = [], [], []
        for begin, end, text in said:
            tokens = self.encode(text)
            spoken += characters(" " + text)
            body += ([timestamp(begin + offset)] if timed else []) + tokens
            body += [timestamp(end + offset)] if timed else []
            places += [(begin * FRAMES, NEAR_EDGE)] if timed else []
            places += self.places(tokens, begin, end)
            places += [(end * FRAMES, NEAR_EDGE)] if timed else []
        if timed and cut is not None:
            body.append(timestamp(cut + offset))
            places.append((cut * FRAMES, NEAR_EDGE))
        prompt = []
        if rng.random() < .15:
            texts = [self.choose(language)[2] for _ in range(rng.randint(1, 3))]
            prompt = [v.PREVIOUS] + self.encode(" ".join(texts))[-100:]
        if said:
            head = prompt + [v.START, v.LANGUAGES[language], v.TRANSCRIBE]
            head += [] if timed else [v.NO_TIMESTAMPS]
            sequence = head + body + [v.END_OF_TEXT]
            places = [None] * len(head) + places + [None]
        else:
            sequence = prompt + [v.START, v.NO_SPEECH, v.END_OF_TEXT]
            places = [None] * len(sequence)
        assert len(places) == len(sequence)
        return dict(samples=samples, tokens=[compact(token) for token in sequence],
                    n_prompt=len(prompt), places=places, silent=False,
                    frames=self.frame_targets(said, len(samples) // 320),
                    characters=spoken if cut is None else None)
