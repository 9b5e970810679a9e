#!/usr/bin/env python3
"""Writes the expected values of tests/unit/tokenizer, as openai/whisper's tokenizer.py gives them.

    python3 make.py path/to/whisper/tokenizer.py VOCAB.tiktoken multilingual|gpt2 > out.json

A module `tiktoken` (the real one, or one of the same behaviour) must be importable. For the
English-only layout the vocabulary is cut to 50,256 ranks.
"""
import importlib.util
import json
import os
import random
import shutil
import sys
import tempfile

TEXTS = [
    "", " ", "  ", "\n", "a", " a", "  a", "a  ", "a  b", "\n\n", "\n\nabc", " \n abc", "\t\tx y",
    "I'm sure they've said we'll go, it's 'twas y'all'd'S'T 're're",
    "don't can't DON'T ' s 's' ''s", "12345 3.14 1,000 ½ ² Ⅷ ١٢٣ x2y",
    "La lancha está pescando sin permiso en la bahía; ¿cuántos barcos ve?",
    " The boat is fishing near the reef. Two nets, no flag!", "señor Ñandú café naïve Straße",
    "日本語のテキスト、「かぎ」『二重』", "안녕하세요 세계", "Привет, мир!", "مرحبا بالعالم ١٢", "नमस्ते दुनिया",
    "🐚🌊 shell 👩‍👩‍👧‍👦 flag 🇲🇽", "♪♪♪ ♪ la la ♫ ♩♬♭♮♯", "<|endoftext|> <|es|> <|0.00|>",
    "a\u00a0b\u2003c\u3000d\u2028e\u0085f\u001cg\u200bh\u180ei", "e\u0301 combining", "()[]{}<>--- -( -[ ('",
    "x" * 70, "ab" * 200, " " * 60 + "end", "…—–‘’“”", "snake_case kebab-case C++ f(x)=y^2",
    "http://example.org/a?b=c&d=%20", "\x00\x01\x7f", "\ufffd\ufffd", "ﬁ ﬀ ǅ ªº",
]


def texts():
    rng = random.Random(7)
    pool = "aeiounrst  '  .,;-0123456789\n\tñáé日本♪🐚\u00a0\u3000'sllvedt"
    words = "la el barco red the boat net is fishing pesca bahía two dos , . ' 's \n".split(" ")
    for _ in range(60):
        yield "".join(rng.choice(pool) for _ in range(rng.randint(1, 40)))
    for _ in range(60):
        yield " ".join(rng.choice(words) for _ in range(rng.randint(1, 15)))
    for _ in range(60):
        yield "".join(chr(c) for c in (rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x11000), rng.randrange(0x250)]) for _ in range(rng.randint(1, 12))))


def word_ids(t, rng):
    for text in TEXTS[:30]:
        yield t.encoding.encode_ordinary(text)
    for text in list(texts())[:100:3]:
        yield t.encoding.encode_ordinary(text)
    for _ in range(30):  # ill-formed text
        yield [rng.randrange(256) if rng.random() < 0.7 else rng.randrange(1400) for _ in range(rng.randint(1, 12))]


def words_of(tok, name, ids):
    """Words by language; null where the reference fails, or drops tokens."""
    out = {"ids": ids}
    for language in ("es", "ja"):
        t = tok.get_tokenizer(name != "gpt2", language=language)
        try:
            words, tokens = t.split_to_word_tokens(ids + [t.eot])
            whole = [token for word in tokens for token in word] == ids + [t.eot]
        except IndexError:
            whole = False
        out[t.language or "en"] = [[w, len(n)] for w, n in zip(words, tokens)] if whole else None
    return out


def main():
    source, vocab, name = sys.argv[1:4]
    folder = tempfile.mkdtemp()
    shutil.copy(source, os.path.join(folder, "tokenizer.py"))
    os.mkdir(os.path.join(folder, "assets"))
    lines = open(vocab).readlines()[: 50256 if name == "gpt2" else 50257]
    open(os.path.join(folder, "assets", name + ".tiktoken"), "w").writelines(lines)
    spec = importlib.util.spec_from_file_location("tok", os.path.join(folder, "tokenizer.py"))
    tok = importlib.util.module_from_spec(spec)
    sys.modules["tok"] = tok
    spec.loader.exec_module(tok)
    out = {"layouts": [], "cases": []}
    for languages in (99,) if name == "gpt2" else (99, 100):
        t = tok.get_tokenizer(name != "gpt2", num_languages=languages)
        ids = {k: getattr(t, k) for k in "eot sot translate transcribe sot_lm sot_prev no_speech no_timestamps timestamp_begin".split()}
        out["layouts"].append({
            "n_vocab": t.encoding.n_vocab,
            "special": ids,
            "languages": dict(zip(t.all_language_codes, t.all_language_tokens)),
            "non_speech": t.non_speech_tokens,
            "blank": t.encode(" "),
            "named": t.decode(list(range(t.eot, t.timestamp_begin + 3))),
        })
    rng = random.Random(11)
    for text in TEXTS + list(texts()):
        ids = t.encoding.encode_ordinary(text)
        assert t.decode(ids) == text
        out["cases"].append({"text": text, "ids": ids})
    out["decode"] = []
    for _ in range(40):
        ids = [rng.randrange(256) if rng.random() < 0.5 else rng.randrange(1400) for _ in range(rng.randint(1, 20))]
        out["decode"].append({"ids": ids, "text": t.decode(ids)})
    out["words"] = [words_of(tok, name, ids) for ids in word_ids(t, random.Random(13))]
    shutil.rmtree(folder)
    json.dump(out, sys.stdout, ensure_ascii=True, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
