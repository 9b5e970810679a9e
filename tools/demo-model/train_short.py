#!/usr/bin/env python3
"""First stages: short windows, to learn attention. Writes OUT (to resume from)."""
import argparse
import os
import random

import numpy as np
import torch
import torch.nn.functional as F

import losses
from mel import log_mel
from model import DemoModel
from parallel import Averages, Pair
from short_windows import ShortWindows
from windows import CHARACTERS, collate

LATER_MIX = [(30., 4, .8), (12., 10, .1), (8., 16, .1)]  # after 60 % of the time
WARM_UP = 400


def parse_mix(text):
    """"5:24:.2,8:16:.8": seconds, windows in a batch, how often."""
    mix = [tuple(map(float, part.split(":"))) for part in text.split(",")]
    return [(seconds, int(batch), share) for seconds, batch, share in mix]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder that make_speech.py filled")
    parser.add_argument("--vocabulary", default="demo.tiktoken")
    parser.add_argument("--out", required=True, help="the state to write, .th")
    parser.add_argument("--init", help="a state to go on from")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--mix", type=parse_mix, default=parse_mix(
        "5:24:.2,8:16:.3,12:10:.3,20:6:.1,30:4:.1"), help="seconds:batch:share,...")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--ctc", type=float, default=.3, help="weight of the character loss")
    parser.add_argument("--guide", type=float, default=.3, help="weight of guided attention")
    parser.add_argument("--frame-minutes", type=float, default=0,
                        help="so long frame targets fade into CTC")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main():
    args = parse_args()
    pair = Pair(args.minutes)
    torch.manual_seed(args.seed)
    shared_rng = random.Random(args.seed)  # the same choices in both processes
    data = ShortWindows(args.data, args.vocabulary, args.seed * 10 + pair.rank)
    model = DemoModel(len(CHARACTERS))
    if args.init:
        print(model.resume(args.init))
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(.9, .98), weight_decay=.01)
    averages, step = Averages(), 0
    while (used := pair.elapsed()) <= 1:
        for group in optimizer.param_groups:
            group["lr"] = (args.lr * min(1, (step + 1) / WARM_UP) *
                           min(1, max(.03, (1 - used) / .25)))
        mix = args.mix if used < .6 else LATER_MIX
        seconds, batch, _ = shared_rng.choices(mix, [share for _, _, share in mix])[0]
        offset = 0.
        if seconds < 30 and shared_rng.random() >= .4:
            offset = int(shared_rng.uniform(0, 30 - seconds) / .02) * .02
        windows = [data.window(seconds, offset) for _ in range(batch)]
        tokens, targets, frames, tolerance = collate(windows)
        mel = log_mel(torch.from_numpy(np.stack([window["samples"] for window in windows])))
        audio = model.encoder(mel, int(round(offset * 50)))
        logits = model.decoder(tokens, audio)
        spoken = model.ctc(audio)
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1),
                               ignore_index=-100)
        averages.see("text", loss.item())
        fading = max(0., 1 - used * args.minutes / args.frame_minutes) if args.frame_minutes else 0.
        if fading > 0:
            aligned = torch.from_numpy(np.stack([window["frames"] for window in windows]))
            by_frame = F.cross_entropy(spoken.reshape(-1, spoken.shape[-1]), aligned.reshape(-1))
            averages.see("frame", by_frame.item())
            loss = loss + fading * by_frame
        by_ctc = losses.ctc(spoken, windows) if args.ctc > 0 else None
        if by_ctc is not None:
            averages.see("ctc", by_ctc.item())
            loss = loss + args.ctc * (1 - fading) * by_ctc
        for guided in losses.guide(model, audio.shape[1], frames, tolerance,
                                   losses.ONE_HEAD).values():
            averages.see("guide", guided.item())
            loss = loss + args.guide * guided
        optimizer.zero_grad()
        loss.backward()
        if pair.average_gradients(parameters):
            optimizer.step()
        step += 1
        if pair.rank == 0 and step % 25 == 0:
            print(f"{used:.0%} step {step} {averages}", flush=True)
        if pair.rank == 0 and step % 100 == 0:
            torch.save(model.state_dict(), args.out)
    if pair.rank:
        os._exit(0)
    torch.save(model.state_dict(), args.out)
    print(f"{args.out}: {step} steps")


if __name__ == "__main__":
    main()
