#!/usr/bin/env python3
"""Last stage: 30 s windows with timestamps and prompts. Writes OUT.th and OUT.pt."""
import argparse
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

import losses
import vocabulary as v
from mel import log_mel
from model import DemoModel, compact, export
from parallel import Averages, Pair
from windows import CHARACTERS, Windows, collate

FIRST_TIMESTAMP = compact(v.FIRST_TIMESTAMP)
END_OF_TEXT = compact(v.END_OF_TEXT)
NEIGHBOURS = torch.tensor([-1, 0, 1])
SPREAD = torch.tensor([.2, .6, .2])  # a timestamp's target over its neighbours
TIMESTAMP_WEIGHT, END_WEIGHT = 1.5, 4.
CTC_WEIGHT, EDGE_WEIGHT, GUIDE_WEIGHT = .3, .3, .5
WARM_UP = 100


def text_loss(logits, targets, averages):
    """Cross-entropy, with timestamps spread over neighbours and the end weighing four times."""
    known = targets >= 0
    log_probs = F.log_softmax(logits.float(), -1)[known]
    targets = targets[known]
    loss = -log_probs.gather(1, targets[:, None])[:, 0]
    timed = (targets >= FIRST_TIMESTAMP) & (targets < FIRST_TIMESTAMP + v.N_TIMESTAMPS)
    weight = torch.where(timed, TIMESTAMP_WEIGHT, 1.0)
    ends = targets == END_OF_TEXT
    weight[ends] = END_WEIGHT
    if ends.any():
        averages.see("end", loss[ends].mean().item())
    if timed.any():
        near = (targets[timed][:, None] + NEIGHBOURS).clamp(
            FIRST_TIMESTAMP, FIRST_TIMESTAMP + v.N_TIMESTAMPS - 1)
        loss = loss.clone()
        loss[timed] = -(log_probs[timed].gather(1, near) * SPREAD).sum(-1)
        averages.see("times", loss[timed].mean().item())
    averages.see("text", loss[~timed].mean().item())
    return (loss * weight).sum() / weight.sum()


def edge_loss(logits, windows):
    """Marks frame by frame where sentences begin and end."""
    edges = torch.from_numpy(np.stack([window["edges"] for window in windows]))
    return F.binary_cross_entropy_with_logits(logits, edges, pos_weight=torch.tensor(5.))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder of make_speech.py, make_coded.py")
    parser.add_argument("--vocabulary", default="demo.tiktoken")
    parser.add_argument("--out", required=True, help="OUT.th and OUT.pt are written")
    parser.add_argument("--init", help="a state to go on from")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--end", type=float, default=.03, help="share of lr at the end")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--full", type=float, default=.45,
                        help="share of windows full of speech, in the first 60 %% of the time")
    parser.add_argument("--bfloat16", action="store_true", help="faster where the CPU has it")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main():
    args = parse_args()
    pair = Pair(args.minutes)
    torch.manual_seed(args.seed)
    data = Windows(args.data, args.vocabulary, args.seed * 10 + pair.rank)
    model = DemoModel(len(CHARACTERS))
    if args.init:
        print(model.resume(args.init))
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(.9, .98), weight_decay=.01)
    averages, step = Averages(), 0
    while (used := pair.elapsed()) <= 1:
        cosine = .5 * (1 + math.cos(math.pi * used))
        for group in optimizer.param_groups:
            group["lr"] = (args.lr * min(1, (step + 1) / WARM_UP) *
                           (args.end + (1 - args.end) * cosine))
        data.full = args.full if used < .6 else .45
        windows = [data.window() for _ in range(args.batch)]
        tokens, targets, frames, tolerance = collate(windows)
        mel = log_mel(torch.from_numpy(np.stack([window["samples"] for window in windows])))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bfloat16):
            audio = model.encoder(mel)
        audio = audio.float()
        edges = edge_loss(model.edges(audio), windows)
        averages.see("edges", edges.item())
        loss = EDGE_WEIGHT * edges
        by_ctc = losses.ctc(model.ctc(audio), windows)
        if by_ctc is not None:
            averages.see("ctc", by_ctc.item())
            loss = loss + CTC_WEIGHT * by_ctc
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bfloat16):
            logits = model.decoder(tokens, audio)
        loss = loss + text_loss(logits, targets, averages)
        for head, guided in losses.guide(model, audio.shape[1], frames, tolerance,
                                         losses.TWO_HEADS).items():
            averages.see(f"guide{head}", guided.item())
            loss = loss + GUIDE_WEIGHT * guided
        optimizer.zero_grad()
        loss.backward()
        if pair.average_gradients(parameters):
            optimizer.step()
        step += 1
        if pair.rank == 0 and step % 25 == 0:
            print(f"{used:.0%} step {step} {averages}", flush=True)
        if pair.rank == 0 and step % 100 == 0:
            torch.save(model.state_dict(), args.out + ".th")
    if pair.rank:
        os._exit(0)
    torch.save(model.state_dict(), args.out + ".th")
    export(model, args.out + ".pt")
    print(f"{args.out}.pt: {step} steps")


if __name__ == "__main__":
    main()
