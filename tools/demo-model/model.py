"""Whisper's architecture for training. Parameters have the names of OpenAI's checkpoints."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

N_LEARNED = 1156  # tokens of the vocabulary that text can reach
N_VOCAB = 51865
FIRST_SPECIAL = 50257
N_SPECIAL = N_VOCAB - FIRST_SPECIAL
N_USED = N_LEARNED + N_SPECIAL
N_FILLER = N_VOCAB - N_USED
N_TIMESTAMPS = 1501
N_TEXT_CTX = 448
N_AUDIO_CTX = 1500


def compact(token):
    """A token's row in the table without filler that is trained."""
    return token if token < N_LEARNED else token - FIRST_SPECIAL + N_LEARNED


def sinusoids(length, channels):
    step = np.log(10000) / (channels // 2 - 1)
    rates = torch.exp(-step * torch.arange(channels // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class LayerNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.float())


class GeluFunction(torch.autograd.Function):
    """PyTorch 1.13's backward is wrong in bfloat16 and for gradients that aren't contiguous."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return F.gelu(x.float()).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        x = ctx.saved_tensors[0].float()
        cdf = x.mul(math.sqrt(.5)).erf_().add_(1).mul_(.5)
        density = x.square().mul_(-.5).exp_().mul_(1 / math.sqrt(2 * math.pi))
        return cdf.add_(density.mul_(x)).mul_(grad).to(grad.dtype)


class Gelu(nn.Module):
    def forward(self, x):
        return GeluFunction.apply(x)


class Attention(nn.Module):
    def __init__(self, n_state, n_head):
        super().__init__()
        self.n_head = n_head
        self.query = nn.Linear(n_state, n_state)
        self.key = nn.Linear(n_state, n_state, bias=False)
        self.value = nn.Linear(n_state, n_state)
        self.out = nn.Linear(n_state, n_state)

    def heads(self, x):
        return x.view(x.shape[0], x.shape[1], self.n_head, -1).transpose(1, 2)

    def forward(self, x, audio=None, mask=None):
        batch, length, n_state = x.shape
        source = x if audio is None else audio
        q, k, v = (self.heads(self.query(x)), self.heads(self.key(source)),
                   self.heads(self.value(source)))
        weights = (q * (n_state // self.n_head) ** -.5) @ k.transpose(-1, -2)
        if mask is not None:
            weights = weights + mask[:length, :length].to(weights.dtype)
        weights = weights.float().softmax(-1).to(v.dtype)
        if audio is not None:
            self.seen = weights  # for the guide
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, n_state))


class Block(nn.Module):
    def __init__(self, n_state, n_head, cross):
        super().__init__()
        self.attn = Attention(n_state, n_head)
        self.attn_ln = LayerNorm(n_state)
        if cross:
            self.cross_attn = Attention(n_state, n_head)
            self.cross_attn_ln = LayerNorm(n_state)
        self.cross = cross
        self.mlp = nn.Sequential(nn.Linear(n_state, 4 * n_state), Gelu(),
                                 nn.Linear(4 * n_state, n_state))
        self.mlp_ln = LayerNorm(n_state)

    def forward(self, x, audio=None, mask=None):
        x = x + self.attn(self.attn_ln(x), mask=mask)
        if self.cross:
            x = x + self.cross_attn(self.cross_attn_ln(x), audio)
        return x + self.mlp(self.mlp_ln(x))


def convolve(x, conv, stride):
    """A convolution of width 3 as a matrix product: conv1d's bfloat16 backward is wrong too."""
    length = x.shape[-1]
    padded = F.pad(x, (1, 1))
    taps = torch.stack([padded[..., k:k + length:stride] for k in range(3)], -1)
    out = F.linear(taps.permute(0, 2, 1, 3).flatten(2), conv.weight.flatten(1), conv.bias)
    return GeluFunction.apply(out).transpose(1, 2)


class Encoder(nn.Module):
    def __init__(self, n_state, n_head, n_layer):
        super().__init__()
        self.conv1 = nn.Conv1d(80, n_state, 3, padding=1)
        self.conv2 = nn.Conv1d(n_state, n_state, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(N_AUDIO_CTX, n_state))
        self.blocks = nn.ModuleList(Block(n_state, n_head, False) for _ in range(n_layer))
        self.ln_post = LayerNorm(n_state)

    def forward(self, mel, offset=0):
        """`offset`: the position of the first frame, for windows shorter than 30 s."""
        x = convolve(convolve(mel, self.conv1, 1), self.conv2, 2).transpose(1, 2)
        x = x + self.positional_embedding[offset:offset + x.shape[1]].to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x)


class Decoder(nn.Module):
    def __init__(self, n_state, n_head, n_layer):
        super().__init__()
        self.emb = nn.Parameter(torch.randn(N_USED, n_state) * .05)
        self.fill = nn.Parameter(torch.zeros(n_state))
        self.ts = nn.Parameter(torch.randn(n_state, n_state) * .02)
        self.register_buffer("ts_basis", sinusoids(N_TIMESTAMPS, n_state), persistent=False)
        self.positional_embedding = nn.Parameter(torch.randn(N_TEXT_CTX, n_state) * .02)
        self.blocks = nn.ModuleList(Block(n_state, n_head, True) for _ in range(n_layer))
        self.ln = LayerNorm(n_state)
        self.register_buffer("mask", torch.full((N_TEXT_CTX, N_TEXT_CTX), -1e9).triu(1),
                             persistent=False)

    def table(self):
        """Timestamps share a basis in time with the encoder's positions, so all learn together."""
        return torch.cat([self.emb[:-N_TIMESTAMPS],
                          self.emb[-N_TIMESTAMPS:] + self.ts_basis @ self.ts])

    def forward(self, tokens, audio):
        """Logits of the used tokens, and in the last column the sum over all filler."""
        table = self.table()
        x = table[tokens] + self.positional_embedding[:tokens.shape[1]]
        for block in self.blocks:
            x = block(x, audio, self.mask)
        x = self.ln(x)
        used = (x @ table.t().to(x.dtype)).float()
        filler = (x @ self.fill.to(x.dtype)).float()[..., None] + math.log(N_FILLER)
        return torch.cat([used, filler], -1)


class DemoModel(nn.Module):
    def __init__(self, n_characters, n_state=192, n_layer=4):
        super().__init__()
        self.n_state, self.n_layer = n_state, n_layer
        self.encoder = Encoder(n_state, n_state // 64, n_layer)
        self.decoder = Decoder(n_state, n_state // 64, n_layer)
        # Only for training: what is said by character, and where sentences begin and end.
        self.ctc = nn.Linear(n_state, n_characters + 1)
        self.edges = nn.Linear(n_state, 2)

    def resume(self, path):
        state = {name: tensor.float() for name, tensor in torch.load(path).items()}
        return self.load_state_dict(state, strict=False)


def export(model, path):
    """OpenAI's format, in float16, with filler rows put back and the training heads left out."""
    left_out = ("ctc.", "edges.", "decoder.emb", "decoder.fill", "decoder.ts")
    state = {name: tensor.half() for name, tensor in model.state_dict().items()
             if not name.startswith(left_out)}
    table = model.decoder.table().detach()
    full = model.decoder.fill.detach()[None].repeat(N_VOCAB, 1)
    full[:N_LEARNED] = table[:N_LEARNED]
    full[FIRST_SPECIAL:] = table[N_LEARNED:]
    state["decoder.token_embedding.weight"] = full.half()
    dims = dict(n_mels=80, n_audio_ctx=N_AUDIO_CTX, n_audio_state=model.n_state,
                n_audio_head=model.n_state // 64, n_audio_layer=model.n_layer, n_vocab=N_VOCAB,
                n_text_ctx=N_TEXT_CTX, n_text_state=model.n_state,
                n_text_head=model.n_state // 64, n_text_layer=model.n_layer)
    torch.save({"dims": dims, "model_state_dict": state}, path)
