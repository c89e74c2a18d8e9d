"""The objectives of the stages: modules that turn a batch into named scalar losses.

A batch holds per sample a window (b, time, channel, y, x). `scored` and `decoded` say where in it the losses
are taken: one corner (y, x) per sample, in latent pixels. The caller freezes what must not learn.
Why: the losses are computed in the forward pass of a module, so that gradients of several processes can be
averaged by DistributedDataParallel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ..grids import LATENT_FACTOR
from ..models import losses
from ..models.dynamics import Latent, LatentDynamics
from ..models.parc import Parc
from ..models.readout_head import ReadoutHead
from ..models.readout_maps import curve_loss, readout_loss
from ..models.vae import VAE

Corners = Sequence[tuple[int, int]]

DECODER_REACH = 4  # distance in latent pixels over which a decoded value depends on the latents


class VAEObjective(nn.Module):
    """Losses of the VAE of one field, each per pixel of the frame.

    Parameters
    ----------
    vae : VAE
        The network.
    kinds : sequence of str
        Of "reconstruction", "kl", "edge". The reconstruction is decoded from sampled latents; its loss is the
        squared error plus `l1` times the absolute error.
    hot_weight : float
        Hot places count 1 + hot_weight times (for temperatures).
    l1 : float
        Factor of the absolute error.
    """

    def __init__(self, vae: VAE, kinds: Sequence[str], *, hot_weight: float = 0.0, l1: float = 0.0) -> None:
        super().__init__()
        self.vae: VAE = vae
        self.kinds: tuple[str, ...] = tuple(kinds)
        self.hot_weight: float = hot_weight
        self.l1: float = l1

    def forward(self, x: Tensor, eps: Tensor) -> dict[str, Tensor]:
        """Return the losses.

        Parameters
        ----------
        x : tensor (b, 1, y, x)
            Frames scaled to [0, 1].
        eps : tensor (b, channel, y/8, x/8)
            Standard normal noise.

        Returns
        -------
        dict of str to scalar tensor
        """
        mean, logvar = self.vae.encode(x)
        mean, logvar = mean.float(), logvar.float()
        y = self.vae.decode(mean + torch.exp(0.5 * logvar) * eps).float()
        pixels = x.shape[-2] * x.shape[-1]
        out = {}
        if "reconstruction" in self.kinds:
            out["reconstruction"] = losses.hot_weighted_loss(y, x, weight=self.hot_weight, l1=self.l1)
        if "kl" in self.kinds:
            out["kl"] = losses.kl_divergence(mean, logvar).mean() / pixels
        if "edge" in self.kinds:
            out["edge"] = losses.edge_loss(y, x).mean() / pixels
        return out


class DynamicsObjective(nn.Module):
    """Losses of a latent rollout: against the encoded movie, and of its decoded frames against the true ones.

    Models that standardise latents are compared in standardised latents.
    Why the loss "curve": the pixels where hot spots ignite cannot be predicted, but their number can.

    Parameters
    ----------
    dynamics : LatentDynamics
        The model.
    step : callable
        One frame ahead, from (model, latent, load) to a latent; with or without coupling.
    kinds : sequence of str
        "mean", "logvar": latents. "field": decoded fields. "hot": decoded temperature, hot pixels weighted;
        averaged over pixels and summed over steps like the others. "area": hot area of decoded parts.
        "readout": what `head` reads from the rollout and from the first frame. "curve": hot area and burned
        fraction that `head` reads from whole frames or the scored part.
    fields : sequence of str
        Fields that are decoded; all by default.
    hot_weight, l1 : float
        Of the loss "hot", as in `losses.hot_weighted_loss`.
    latent_hot_weight : float
        Weight of hot places in the loss "mean".
    head : ReadoutHead, optional
        For the losses "readout" and "curve".
    truncate : int
        Gradients flow back through at most so many steps; 0 for all.
    """

    def __init__(
        self,
        dynamics: LatentDynamics,
        step: Callable[[LatentDynamics, Latent, Tensor | None], Latent],
        kinds: Sequence[str],
        *,
        fields: Sequence[str] = (),
        hot_weight: float = 0.0,
        l1: float = 0.0,
        latent_hot_weight: float = 0.0,
        head: ReadoutHead | None = None,
        truncate: int = 0,
    ) -> None:
        super().__init__()
        self.head = head
        self.dynamics: LatentDynamics = dynamics
        self.step: Callable[[LatentDynamics, Latent, Tensor | None], Latent] = step
        self.kinds: tuple[str, ...] = tuple(kinds)
        self.latent_hot_weight: float = latent_hot_weight
        self.truncate: int = truncate
        self.fields: tuple[str, ...] = tuple(fields) or dynamics.config.fields
        self.hot_weight: float = hot_weight
        self.l1: float = l1

    def forward(
        self,
        mean: Tensor,
        logvar: Tensor,
        load: Tensor | None = None,
        scored: Corners | None = None,
        scored_size: tuple[int, int] | None = None,
        decoded: Corners | None = None,
        decoded_size: tuple[int, int] | None = None,
        truth: Tensor | None = None,
        eps: Tensor | None = None,
        heat: Tensor | None = None,
        maps: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the losses of windows, rolled out from their first frame.

        Parameters
        ----------
        mean, logvar : tensor (b, horizon + 1, channel, y, x)
            Encoded windows.
        load : tensor (b,), optional
            Scaled load.
        scored, scored_size
            Corners and size of the part on which losses are taken, in latent pixels; all by default.
        decoded, decoded_size
            The same for the decoded part.
        truth : tensor (b, time, field, 8 y, 8 x), optional
            True frames of the decoded part, for the last frames of the windows.
        eps : tensor (b, time, channel, y, x), optional
            Noise, to decode a sample instead of the mean.
        heat : tensor (b, horizon, 1, y, x), optional
            Highest true temperature in each latent pixel, scaled; where it is high, errors of means count up
            to 1 + latent_hot_weight times.
        maps : tensor (b, horizon + 1, 6, y, x), optional
            Targets of the head.

        Returns
        -------
        dict of str to scalar tensor
        """
        latent = Latent(mean[:, 0], logvar[:, 0])
        steps = []
        for k in range(mean.shape[1] - 1):
            if self.truncate and k and k % self.truncate == 0:
                latent = Latent(*(part.detach() for part in latent))
            latent = self.step(self.dynamics, latent, load)
            steps.append(latent)
        predicted = Latent(*(torch.stack(part, dim=1) for part in zip(*steps, strict=True)))
        out = self._consistency(predicted, Latent(mean[:, 1:], logvar[:, 1:]), scored, scored_size, heat)
        if truth is not None:
            out |= self._decoded(predicted, truth, decoded, decoded_size, eps)
        if self.head is not None:
            seen = torch.cat([mean[:, :1], predicted.mean.float()], dim=1)
            out |= self._readout(seen, maps, load, scored, scored_size)
        return out

    def _readout(
        self,
        mean: Tensor,
        maps: Tensor,
        load: Tensor | None,
        corners: Corners | None,
        size: tuple[int, int] | None,
    ) -> dict[str, Tensor]:
        """Losses on what the head reads."""
        times = mean.shape[1]
        load = load.repeat_interleave(times) if self.head.config.load_input else None
        read = self.head.maps(mean.flatten(0, 1), load).unflatten(0, (-1, times))
        if corners is not None:
            read, maps = cut(read, corners, size), cut(maps, corners, size)
        read, maps, out = read.flatten(0, 1), maps.flatten(0, 1), {}
        if "readout" in self.kinds:
            out["readout"] = times * readout_loss(read, maps)
        if "curve" in self.kinds:
            out["curve"] = times * curve_loss(read, maps)
        return out

    def _consistency(
        self,
        predicted: Latent,
        target: Latent,
        corners: Corners | None,
        size: tuple[int, int] | None,
        heat: Tensor | None,
    ) -> dict[str, Tensor]:
        """Losses on latents."""
        slices, out = self.dynamics.config.slices(), {}
        for kind, p, t in zip(("mean", "logvar"), predicted, target, strict=True):
            if kind not in self.kinds:
                continue
            if self.dynamics.config.standardize:
                scaling = self.dynamics.scaling
                shift, scale = getattr(scaling, f"{kind}_shift"), getattr(scaling, f"{kind}_scale")
                p, t = (p - shift) / scale, (t - shift) / scale
            if heat is not None and kind == "mean":
                emphasis = losses.hot_emphasis(heat, self.latent_hot_weight)
                p = t + (p - t) * emphasis.sqrt()
            if corners is not None:
                p, t = cut(p, corners, size), cut(t, corners, size)
            out[kind] = losses.consistency_loss(p, t, slices)
        return out

    def _decoded(
        self,
        predicted: Latent,
        truth: Tensor,
        corners: Corners | None,
        size: tuple[int, int] | None,
        eps: Tensor | None,
    ) -> dict[str, Tensor]:
        """Losses on decoded fields."""
        mean, logvar = (part[:, -truth.shape[1] :] for part in predicted)
        z = mean if eps is None else mean + torch.exp(0.5 * logvar) * eps
        frames = decode_part(self.dynamics, z, self.fields, corners, size)
        out = {}
        if "field" in self.kinds:
            out["field"] = losses.multi_step_loss(frames, truth)
        if not {"hot", "area"} & set(self.kinds):
            return out
        i, times = self.fields.index("temperature"), truth.shape[1]
        found, true = frames[:, :, i], truth[:, :, i]
        if "hot" in self.kinds:
            hot = losses.hot_weighted_loss(found, true, weight=self.hot_weight, l1=self.l1)
            out["hot"] = times * hot
        if "area" in self.kinds:
            out["area"] = times * losses.hot_area_loss(found, true)
        return out


class HeadObjective(nn.Module):
    """Loss of a readout head on given latents."""

    def __init__(self, head: ReadoutHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, mean: Tensor, maps: Tensor, load: Tensor | None = None) -> dict[str, Tensor]:
        """Return the loss for latent means (b, channel, y, x) and target maps (b, 6, y, x)."""
        return {"readout": readout_loss(self.head.maps(mean, load), maps)}


class ParcObjective(nn.Module):
    """Mean absolute error of all fields in a rollout of the PARCv2 baseline, averaged over steps."""

    def __init__(self, parc: Parc) -> None:
        super().__init__()
        self.parc = parc

    def forward(self, state: Tensor) -> dict[str, Tensor]:
        """Return the loss of windows (b, horizon + 1, field, y, x), rolled out from their first frame."""
        latent, total = Latent(state[:, 0], state[:, 0, :0]), state.new_zeros(())
        for k in range(1, state.shape[1]):
            latent = self.parc.advance(latent)
            total = total + (latent.mean.float() - state[:, k]).abs().mean()
        return {"absolute": total / (state.shape[1] - 1)}


def cut(z: Tensor, corners: Corners, size: Sequence[int]) -> Tensor:
    """Cut a part of `size` (y, x) at the corner of each sample from (b, ..., y, x)."""
    ny, nx = size
    return torch.stack([z[i, ..., y : y + ny, x : x + nx] for i, (y, x) in enumerate(corners)])


def decode_part(
    dynamics: LatentDynamics,
    z: Tensor,
    fields: Sequence[str],
    corners: Corners | None = None,
    size: Sequence[int] | None = None,
) -> Tensor:
    """Decode a part of latents.

    The result equals the same part of the whole decoded frame: the decoder also sees the `DECODER_REACH`
    latent pixels around the part, or the edge of the frame.

    Parameters
    ----------
    dynamics : LatentDynamics
        Its VAEs decode.
    z : tensor (b, time, channel, y, x)
        Latents.
    fields : sequence of str
        Fields wanted.
    corners : sequence of (int, int), optional
        Corner of the part in each sample, in latent pixels; whole frames by default.
    size : (int, int), optional
        Size of the part in latent pixels.

    Returns
    -------
    tensor (b, time, field, 8 y', 8 x')
    """
    b, times, _, ny, nx = z.shape
    slices: Mapping[str, slice] = dynamics.config.slices()
    inner = None
    if corners is not None:
        h, w = (min(s + 2 * DECODER_REACH, n) for s, n in zip(size, (ny, nx), strict=True))
        outer = [
            (min(max(y - DECODER_REACH, 0), ny - h), min(max(x - DECODER_REACH, 0), nx - w))
            for y, x in corners
        ]
        z = cut(z, outer, (h, w))
        inner = [
            ((y - top) * LATENT_FACTOR, (x - left) * LATENT_FACTOR)
            for (y, x), (top, left) in zip(corners, outer, strict=True)
        ]
    frames = []
    for name in fields:
        part = z[:, :, slices[name]].flatten(0, 1).contiguous(memory_format=torch.channels_last)
        frames.append(dynamics.vaes[name].decode(part).float().unflatten(0, (b, times)))
    out = torch.cat(frames, dim=2)  # (b, time, field, 8 y, 8 x)
    return out if inner is None else cut(out, inner, [s * LATENT_FACTOR for s in size])
