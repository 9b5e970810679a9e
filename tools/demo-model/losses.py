"""The losses that both training scripts use."""
import torch
import torch.nn.functional as F

from windows import NEAR_EDGE, NEAR_WORD


def ctc(logits, windows):
    """CTC over characters, per character; None where no window has its whole text."""
    known = [i for i, window in enumerate(windows) if window["characters"]]
    if not known:
        return None
    log_probs = F.log_softmax(logits[known].float(), -1).transpose(0, 1)
    texts = [torch.tensor(windows[i]["characters"]) for i in known]
    lengths = torch.tensor([len(text) for text in texts])
    targets = torch.zeros((len(known), int(lengths.max())), dtype=torch.long)
    for i, text in enumerate(texts):
        targets[i, :len(text)] = text
    frames = torch.full((len(known),), log_probs.shape[0])
    return (F.ctc_loss(log_probs, targets, frames, lengths, blank=0, reduction="none") /
            lengths).mean()


def guide(model, n_frames, frames, tolerance, heads):
    """Asks heads of decoder layers 1 and 2 to attend to where each token is spoken: {head: loss}.

    `heads`: for each head a test on the tolerance that says which targets are its own.
    """
    distance = (torch.arange(n_frames)[None, None] - frames[..., None]).abs()
    near = (distance <= tolerance[..., None]) & (frames[..., None] >= 0)
    placed = near.any(-1)
    losses = {}
    for head, is_own in heads.items():
        own = placed & is_own(tolerance)
        if own.any():
            weights = [(model.decoder.blocks[layer].cross_attn.seen[:, head] * near).sum(-1)[own]
                       for layer in (1, 2)]
            losses[head] = sum(-torch.log(w.clamp_min(1e-6)).mean() / 2 for w in weights)
    return losses


ONE_HEAD = {0: lambda tolerance: tolerance >= 0}
TWO_HEADS = {0: lambda tolerance: tolerance > (NEAR_EDGE + NEAR_WORD) / 2,
             1: lambda tolerance: tolerance < (NEAR_EDGE + NEAR_WORD) / 2}
