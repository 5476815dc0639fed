"""Synthetic gaps, the smoothing to beat, and the network."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

DEGREES_A_PIXEL = 10 / 63
SWATH = 0.55  # degrees from the nadir track to the outer edge: about 60 km
NADIR_GAP = 0.09  # degrees at either side of the track that neither swath sees
SPACING = 4.5  # degrees between neighbouring tracks of one direction
WIDTHS = (1.5, 3.0, 6.0)  # pixels: standard deviations of the smoothings the network is given
BASELINE = 1  # of them, the one with the least error on the training patches


def hide(water: Tensor, noise: torch.Generator) -> Tensor:
    """Where a satellite would have looked: `water` (B, H, W) inside inclined double swaths.

    Ascending and descending tracks are parallel lines with a random offset for each sample.
    """
    batch, height, width = water.shape
    y = torch.arange(height).view(1, -1, 1) * DEGREES_A_PIXEL
    x = torch.arange(width).view(1, 1, -1) * DEGREES_A_PIXEL
    seen = torch.zeros_like(water)
    for direction in (-1, 1):
        angle = math.radians(68)
        offset = SPACING * torch.rand(batch, 1, 1, generator=noise)
        across = x * math.sin(angle) + direction * y * math.cos(angle) + offset
        distance = (across % SPACING - SPACING / 2).abs()
        seen |= (distance < SWATH) & (distance > NADIR_GAP)
    return seen & water


def smooth(sea: Tensor, seen: Tensor, width: float = WIDTHS[BASELINE]) -> Tensor:
    """The Gaussian-weighted mean of what was seen, (B, H, W); `width` in pixels."""
    weight = seen.to(sea.dtype)
    mean = (sea * weight).sum((1, 2), keepdim=True) / weight.sum((1, 2), keepdim=True).clamp(min=1)
    # Far from anything seen the weights vanish, and the mean of the patch takes over.
    floor = 1e-4
    return mean + _blur((sea - mean) * weight, width) / (_blur(weight, width) + floor)


def _blur(field: Tensor, width: float) -> Tensor:
    radius = math.ceil(3 * width)
    steps = torch.arange(-radius, radius + 1, dtype=field.dtype)
    kernel = torch.exp(-0.5 * (steps / width) ** 2)
    kernel = kernel / kernel.sum()
    rows = functional.conv2d(field[:, None], kernel.view(1, 1, -1, 1), padding=(radius, 0))
    return functional.conv2d(rows, kernel.view(1, 1, 1, -1), padding=(0, radius))[:, 0]


class FillGaps(nn.Module):
    """Adds to a smoothing what dilated convolutions have learned about the shape of eddies."""

    def __init__(self, channels: int = 16, context: int = 0) -> None:
        super().__init__()
        self.takes_context = context > 0
        layers: list[nn.Module] = []
        before = len(WIDTHS) + 1 + context
        for dilation in (1, 2, 4, 8, 4, 1):
            layers += [
                nn.Conv2d(before, channels, 3, padding=dilation, dilation=dilation),
                nn.SiLU(),
            ]
            before = channels
        last = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(last.weight)  # training starts from the smoothing itself
        self.layers = nn.Sequential(*layers, last).to(memory_format=torch.channels_last)

    def forward(self, sea: Tensor, seen: Tensor, context: Tensor | None = None) -> Tensor:
        """Sea level (B, H, W) in metres from its pixels in `seen`; the others are not looked at.

        `context` (B, C, H, W) is known everywhere.
        """
        maps = torch.stack([smooth(sea, seen, width) for width in WIDTHS], dim=1)
        guess = maps[:, BASELINE]
        weight = seen.to(sea.dtype)
        # Differences from the guess, in decimetres: of the other smoothings and of what was seen.
        others = maps - guess[:, None]
        others[:, BASELINE] = weight
        surprise = (sea - guess) * weight
        features = torch.cat([others, surprise[:, None]], dim=1)
        features = features * features.new_tensor([10.0, 1.0, 10.0, 10.0]).view(1, -1, 1, 1)
        if context is not None:
            features = torch.cat([features, context], dim=1)
        features = features.contiguous(memory_format=torch.channels_last)
        return guess + self.layers(features)[:, 0] / 10
