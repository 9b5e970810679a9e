"""Two processes, one thread each, that average their gradients in shared memory.

On two cores this beats PyTorch's own threads: small matrices leave those waiting for each other.
"""
import math
import multiprocessing
import os
import time

import torch

WORKERS = 2


class Pair:
    """After this, two processes run on: rank 0, which reports and saves, and rank 1."""

    def __init__(self, minutes, n_parameters=8_000_000):
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        self.barrier = multiprocessing.get_context("fork").Barrier(WORKERS)
        self.shared = torch.zeros(WORKERS, n_parameters).share_memory_()
        self.rank = 1 if os.fork() == 0 else 0
        self.seconds = minutes * 60
        self.started = time.time()

    def elapsed(self):
        """The share of the time that is used up, the same in both; above 1 it is over."""
        self.shared[self.rank, -1] = time.time() - self.started
        self.barrier.wait()
        elapsed = float(self.shared[0, -1])
        self.barrier.wait()
        return elapsed / self.seconds

    def average_gradients(self, parameters):
        """Also clips their norm to 1; returns whether they are finite."""
        at = 0
        for p in parameters:
            self.shared[self.rank, at:at + p.numel()] = (
                0 if p.grad is None else p.grad.reshape(-1))
            at += p.numel()
        self.barrier.wait()
        mean = self.shared[:, :at].mean(0)
        self.barrier.wait()
        # clip_grad_norm_ of PyTorch 1.13 gave inf for finite gradients; so the norm is in float64
        norm = float(mean.double().norm())
        mean *= 1 / max(norm, 1.0)
        at = 0
        for p in parameters:
            p.grad = mean[at:at + p.numel()].reshape(p.shape).clone()
            at += p.numel()
        return math.isfinite(norm)


class Averages:
    """Running means of what is reported."""

    def __init__(self):
        self.values = {}

    def see(self, name, value):
        old = self.values.get(name, value)
        self.values[name] = .97 * old + .03 * value

    def __str__(self):
        return " ".join(f"{name} {value:.3f}" for name, value in self.values.items())
