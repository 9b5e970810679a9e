"""Whisper's log-mel spectrogram."""
import numpy as np
import torch

N_MELS, N_FFT, HOP, RATE = 80, 400, 160, 16000


def mel_filters(n_mels=N_MELS):
    """Slaney's mel filter bank, normalised by area: [n_mels, n_fft / 2 + 1] float32."""
    def to_hz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))

    def to_mel(hz):
        return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) / (np.log(6.4) / 27)

    edges = to_hz(np.linspace(0, to_mel(RATE / 2), n_mels + 2))
    bins = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = (2 / (edges[2:] - edges[:-2]))[:, None]
    return (np.maximum(0, np.minimum(rising, falling)) * area).astype(np.float32)


FILTERS = torch.from_numpy(mel_filters())
WINDOW = torch.hann_window(N_FFT)


def log_mel(samples):
    """[batch, samples] to [batch, 80, samples / 160]."""
    power = torch.stft(samples, N_FFT, HOP, window=WINDOW, return_complex=True)[..., :-1].abs() ** 2
    mel = torch.clamp(FILTERS @ power, min=1e-10).log10()
    mel = torch.maximum(mel, mel.amax((-2, -1), keepdim=True) - 8.0)
    return (mel + 4) / 4
