"""Small nets of every construct beyond plain chains: segments, moved channels, gates, groups, heads.

Each is grown and measured by its own forward pass in the tests; a new construct is covered by one more line in `WIDE`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.nets import CLASSES, NETS, Net


class Wired(nn.Module):
    """Layers by name, and a forward pass as a function of them."""

    def __init__(self, forward: Callable[[nn.Module, Tensor], Tensor], **layers: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.wiring = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.wiring(self, x)


class BatchNormAct(nn.BatchNorm2d):
    """Batch norm with its activation inside, as timm has it."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalised, then SiLU in place."""
        return F.silu(super().forward(x), inplace=True)


def _conv(before: int, after: int, size: int = 3, **options: int | bool) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, padding=size // 2, **options)  # type: ignore[arg-type]


def _net(
    name: str,
    forward: Callable[[nn.Module, Tensor], Tensor],
    shape: tuple[int, ...],
    widths: dict[str, int],
    layers: Callable[[], dict[str, nn.Module | nn.Parameter]],
    smooth: bool = True,
) -> Net:
    return Net(name, lambda: Wired(forward, **layers()), shape, widths, smooth=smooth)


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def _dense_block(m: nn.Module, x: Tensor) -> Tensor:
    x = F.silu(m.stem(x))
    for norm, conv in ((m.norm1, m.conv1), (m.norm2, m.conv2)):
        x = torch.cat([x, conv(F.silu(norm(x)))], 1)
    return m.head(_mean(F.silu(m.norm3(x))))


def _dual_path(m: nn.Module, x: Tensor) -> Tensor:
    x = m.first(x)
    stream, dense = x[:, :3], x[:, 3:]
    made = m.make(torch.tanh(m.read(F.silu(torch.cat([stream, dense], 1)))))
    return m.head(_mean(torch.tanh(torch.cat([stream + made[:, :3], dense, made[:, 3:]], 1))))


def _fire(m: nn.Module, x: Tensor) -> Tensor:
    x = F.silu(m.squeeze(x))
    x = torch.cat([F.silu(m.left(x)), torch.tanh(m.right(x))], 1)
    return m.head(torch.flatten(F.silu(m.read(x)), 1))


def _chunks(m: nn.Module, x: Tensor) -> Tensor:
    one, two = F.silu(m.stem(x)).chunk(2, 1)
    return m.head(_mean(F.silu(m.a(one)) + torch.tanh(m.b(two))))


def _swiglu(m: nn.Module, x: Tensor) -> Tensor:
    gate, value = m.up(x).chunk(2, -1)
    return m.head(m.down(F.silu(gate) * value)).mean(1)


def _glu(m: nn.Module, x: Tensor) -> Tensor:
    return m.head(torch.tanh(m.down(F.glu(m.up(x), -1)))).mean(1)


def _gate(m: nn.Module, x: Tensor) -> Tensor:
    return m.head(F.silu(m.gate(x)) * m.value(x)).mean(1)


def _mixer(m: nn.Module, x: Tensor) -> Tensor:
    x = x + m.back(F.gelu(m.tokens(x.transpose(1, 2)))).transpose(1, 2)
    return m.head(m.down(F.gelu(m.up(x)))).mean(1)


def _last(m: nn.Module, x: Tensor) -> Tensor:
    x = m.stem(x).permute(0, 2, 3, 1)
    x = m.down(m.scale * F.gelu(m.up(x) + m.shift))
    return m.head(_mean(torch.tanh(x.permute(0, 3, 1, 2))))


def _flat_last(m: nn.Module, x: Tensor) -> Tensor:
    x = F.silu(m.stem(x)).permute(0, 2, 3, 1)
    return m.head(torch.tanh(m.read(x.reshape(len(x), -1))))


def _windows(m: nn.Module, x: Tensor) -> Tensor:
    x = F.silu(m.stem(x)).permute(0, 2, 3, 1)
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
    x = F.gelu(m.up(torch.roll(x, 1, 1))).reshape(b, h // 2, w // 2, 4, -1).mean((1, 2, 3))
    return m.head(torch.tanh(m.read(x)))


def _merging(m: nn.Module, x: Tensor) -> Tensor:
    x = F.silu(m.stem(x)).permute(0, 2, 3, 1)
    x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
    return m.head(torch.tanh(m.read(x)).mean((1, 2)))


def _grouped(m: nn.Module, x: Tensor) -> Tensor:
    x = F.silu(m.norm(m.stem(x)))
    x = F.silu(m.grouped(x))
    return m.head(_mean(torch.tanh(m.read(x))))


def _shuffled(m: nn.Module, x: Tensor) -> Tensor:
    x = F.silu(m.grouped(F.silu(m.stem(x))))
    b, c, h, w = x.shape
    x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
    return m.head(_mean(torch.tanh(m.read(m.deep(x)))))


def _multiplied(m: nn.Module, x: Tensor) -> Tensor:
    return m.head(_mean(torch.tanh(m.read(F.silu(m.deep(F.silu(m.stem(x))))))))


class Attention(nn.Module):
    """Self-attention whose number of heads follows its weights.

    Args:
        width: Of the stream.
        heads: To begin with.
        size: Of a head.
        how: ``fused`` or ``apart`` rows; ``written`` has its softmax written out.
    """

    def __init__(self, width: int, heads: int, size: int, how: str = "fused") -> None:
        super().__init__()
        self.size, self.how = size, how
        if how == "apart":
            self.q, self.k, self.v = (nn.Linear(width, heads * size, bias=b) for b in (True, False, True))
        else:
            self.qkv = nn.Linear(width, 3 * heads * size)
        self.proj = nn.Linear(heads * size, width)

    def forward(self, x: Tensor) -> Tensor:
        """Shape ``(N, T, width)``."""
        n, t, _ = x.shape
        if self.how == "apart":
            q, k, v = (f(x).reshape(n, t, -1, self.size).transpose(1, 2) for f in (self.q, self.k, self.v))
        else:
            q, k, v = self.qkv(x).reshape(n, t, 3, -1, self.size).permute(2, 0, 3, 1, 4).unbind(0)
        if self.how == "written":
            y = torch.softmax(q @ k.transpose(-2, -1) / self.size**0.5, -1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.how == "causal")
        return self.proj(y.transpose(1, 2).reshape(n, t, -1))


class Parted(Attention):
    """Heads of three parts each, scores with a bias of each head that evaluation keeps, partly written anew."""

    def __init__(self, width: int, heads: int, size: int, how: str = "parted") -> None:
        super().__init__(width, heads, size)
        self.num_heads, self.out_dim, self.bias_shape = heads, heads * size, (heads, 4, 4)
        self.bias = nn.Parameter(torch.randn(heads, 16) * 0.3)
        self.kept: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> Parted:
        """Forgets what evaluation keeps."""
        self.kept.clear()
        super().train(mode)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Parted:
        self.kept.clear()
        super()._apply(fn, recurse)
        return self

    def _bias(self) -> Tensor:
        if self.training or torch.is_grad_enabled():
            return self.bias.view(self.bias_shape)
        if "bias" not in self.kept:
            self.kept["bias"] = self.bias.view(self.bias_shape)
        return self.kept["bias"]

    def forward(self, x: Tensor) -> Tensor:
        """Shape ``(N, T, width)``."""
        n, t, _ = x.shape
        q, k, v = self.qkv(x).view(n, t, self.num_heads, -1).chunk(3, -1)
        scores = torch.einsum("bqhd, bkhd -> bhqk", q, k) + self._bias()
        scores[:, :, 1:, :] = scores[:, :, 1:, :] * 0.5
        y = torch.einsum("bhqk,bkhd->bqhd", torch.softmax(scores, -1), v)
        return self.proj(y.reshape(n, t, self.out_dim))


def _attending(how: str) -> Callable[[], dict[str, nn.Module | nn.Parameter]]:
    return lambda: {
        "place": nn.Parameter(torch.randn(1, 4, 5) * 0.1),
        "one": nn.LayerNorm(5),
        "attend": (Parted if how == "parted" else Attention)(5, 2, 3, how),
        "two": nn.LayerNorm(5),
        "up": nn.Linear(5, 4),
        "down": nn.Linear(4, 5),
        "head": nn.Linear(5, CLASSES),
    }


def _transformer(m: nn.Module, x: Tensor) -> Tensor:
    x = x + m.place
    x = x + m.attend(m.one(x))
    x = x + m.down(F.gelu(m.up(m.two(x))))
    return m.head(x).mean(1)


def _frozen(x: Tensor, norm: nn.Module) -> Tensor:
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


def _messages(m: nn.Module, x: Tensor) -> Tensor:
    for layer in (m.one, m.two):
        x = F.silu(m.mix @ layer(x))
    return m.head(x).mean(1)


def _of_places(m: nn.Module, x: Tensor) -> Tensor:
    return m.head(torch.tanh(m.two(F.silu(m.one(m.places))).mean(0) + m.read(x)))


def _unit_length(m: nn.Module, x: Tensor) -> Tensor:
    return m.head(F.normalize(F.silu(m.one(x)), dim=1).mean(1))


def _as_another(m: nn.Module, x: Tensor) -> Tensor:
    h = F.silu(m.one(x))
    return m.head((h[:, :1].expand_as(h) + torch.tanh(2 * h.view_as(h))).mean(1))


def _attention_pooling(m: nn.Module, x: Tensor) -> Tensor:
    h = F.silu(m.one(x))
    return m.head((m.score(h).softmax(1).transpose(1, 2) @ h).squeeze(1))


WIDE: list[Net] = [
    _net(
        "messages along a graph",
        _messages,
        (4, 3),
        {"one": 4, "two": 3},
        lambda: {
            **{"one": nn.Linear(3, 4), "two": nn.Linear(4, 3), "head": nn.Linear(3, CLASSES)},
            "mix": nn.Parameter(torch.randn(4, 4)),
        },
    ),
    _net(
        "layers that read a parameter",
        _of_places,
        (4,),
        {"one": 4, "two": 3},
        lambda: {
            **{"places": nn.Parameter(torch.randn(2, 3)), "one": nn.Linear(3, 4), "two": nn.Linear(4, 3)},
            **{"read": nn.Linear(4, 3), "head": nn.Linear(3, CLASSES)},
        },
    ),
    _net(
        "of unit length along positions",
        _unit_length,
        (3, 4),
        {"one": 4},
        lambda: {"one": nn.Linear(4, 4), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "shaped as another",
        _as_another,
        (3, 4),
        {"one": 4},
        lambda: {"one": nn.Linear(4, 4), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "attention pooling",
        _attention_pooling,
        (3, 4),
        {"one": 4},
        lambda: {"one": nn.Linear(4, 4), "score": nn.Linear(4, 1), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "instance norm",
        lambda m, x: m.head(F.silu(m.norm(m.conv(x))).flatten(1)),
        (2, 4, 4),
        {"conv": 3},
        lambda: {
            **{"conv": _conv(2, 3), "norm": nn.InstanceNorm2d(3, affine=True, track_running_stats=True)},
            "head": nn.Linear(48, CLASSES),
        },
    ),
    _net(
        "instance norm, by each input",
        lambda m, x: m.head(F.silu(m.norm(m.conv(x))).flatten(1)),
        (2, 4, 4),
        {"conv": 3},
        lambda: {"conv": _conv(2, 3), "norm": nn.InstanceNorm2d(3, affine=True), "head": nn.Linear(48, CLASSES)},
    ),
    _net(
        "norm with its activation",
        lambda m, x: m.head(_mean(m.norm(m.conv(x)))),
        (2, 5, 5),
        {"conv": 4},
        lambda: {"conv": _conv(2, 4), "norm": BatchNormAct(4), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "functional norm, frozen",
        lambda m, x: m.head(_mean(torch.tanh(_frozen(m.conv(x), m.norm)))),
        (2, 5, 5),
        {"conv": 4},
        lambda: {"conv": _conv(2, 4), "norm": nn.BatchNorm2d(4), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "dense block",
        _dense_block,
        (2, 4, 4),
        {"stem": 3, "conv1": 2, "conv2": 2},
        lambda: {
            **{"stem": _conv(2, 3), "norm1": nn.BatchNorm2d(3), "conv1": _conv(3, 2, bias=False)},
            **{"norm2": nn.BatchNorm2d(5), "conv2": _conv(5, 2, bias=False), "norm3": nn.BatchNorm2d(7)},
            "head": nn.Linear(7, CLASSES),
        },
    ),
    _net(
        "fire",
        _fire,
        (2, 4, 4),
        {"squeeze": 2, "left": 3, "right": 2, "read": 2},
        lambda: {
            **{"squeeze": _conv(2, 2, 1), "left": _conv(2, 3, 1), "right": _conv(2, 2)},
            **{"read": _conv(5, 2), "head": nn.Linear(32, CLASSES)},
        },
    ),
    _net(
        "chunks",
        _chunks,
        (2, 4, 4),
        {"stem": 2, "a": 3},
        lambda: {"stem": _conv(2, 4), "a": _conv(2, 3), "b": _conv(2, 3), "head": nn.Linear(3, CLASSES)},
    ),
    _net(
        "swiglu, fused",
        _swiglu,
        (3, 4),
        {"up": 3, "down": 4},
        lambda: {"up": nn.Linear(4, 6), "down": nn.Linear(3, 4), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "glu",
        _glu,
        (3, 4),
        {"up": 3, "down": 4},
        lambda: {"up": nn.Linear(4, 6), "down": nn.Linear(3, 4), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "gate and value",
        _gate,
        (3, 4),
        {"gate": 5},
        lambda: {"gate": nn.Linear(4, 5), "value": nn.Linear(4, 5, bias=False), "head": nn.Linear(5, CLASSES)},
    ),
    _net(
        "mixer",
        _mixer,
        (3, 4),
        {"tokens": 5, "up": 3, "down": 4},
        lambda: {
            **{"tokens": nn.Linear(3, 5), "back": nn.Linear(5, 3), "up": nn.Linear(4, 3)},
            **{"down": nn.Linear(3, 4), "head": nn.Linear(4, CLASSES)},
        },
    ),
    _net(
        "channels last, scaled and shifted",
        _last,
        (2, 4, 4),
        {"stem": 3, "up": 4, "down": 2},
        lambda: {
            **{"stem": _conv(2, 3), "up": nn.Linear(3, 4), "down": nn.Linear(4, 2), "head": nn.Linear(2, CLASSES)},
            **{"scale": nn.Parameter(torch.randn(4)), "shift": nn.Parameter(torch.randn(4))},
        },
    ),
    _net(
        "flattened with channels last",
        _flat_last,
        (2, 3, 2),
        {"stem": 3, "read": 4},
        lambda: {"stem": _conv(2, 3), "read": nn.Linear(18, 4), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "windows",
        _windows,
        (2, 4, 4),
        {"stem": 3, "up": 4, "read": 3},
        lambda: {
            **{"stem": _conv(2, 3), "up": nn.Linear(3, 4), "read": nn.Linear(4, 3), "head": nn.Linear(3, CLASSES)},
        },
    ),
    _net(
        "patch merging",
        _merging,
        (2, 4, 4),
        {"stem": 3, "read": 4},
        lambda: {"stem": _conv(2, 3), "read": nn.Linear(12, 4), "head": nn.Linear(4, CLASSES)},
    ),
    _net(
        "grouped",
        _grouped,
        (2, 4, 4),
        {"stem": 3, "grouped": 2, "read": 3},
        lambda: {
            **{"stem": _conv(2, 6, bias=False), "norm": nn.BatchNorm2d(6), "grouped": _conv(6, 4, groups=2)},
            **{"read": _conv(4, 3), "head": nn.Linear(3, CLASSES)},
        },
    ),
    _net(
        "grouped and shuffled",
        _shuffled,
        (2, 4, 4),
        {"stem": 3, "grouped": 2, "read": 3},
        lambda: {
            **{"stem": _conv(2, 6), "grouped": _conv(6, 4, groups=2), "deep": _conv(4, 4, groups=4)},
            **{"read": _conv(4, 3), "head": nn.Linear(3, CLASSES)},
        },
    ),
    _net(
        "depthwise, two for one",
        _multiplied,
        (2, 4, 4),
        {"stem": 3, "read": 2},
        lambda: {
            **{"stem": _conv(2, 3), "deep": _conv(3, 6, groups=3), "read": _conv(6, 2), "head": nn.Linear(2, CLASSES)}
        },
    ),
    _net(
        "dual path",
        _dual_path,
        (2, 4, 4),
        {"first": 2, "read": 4, "make": 2},
        lambda: {"first": _conv(2, 5), "read": _conv(5, 4), "make": _conv(4, 5), "head": nn.Linear(7, CLASSES)},
    ),
    *(
        _net(f"heads, {how}", _transformer, (4, 5), widths, _attending(how))
        for how, widths in {
            "fused": {"attend.qkv": 2, "up": 4},
            "apart": {"attend.q": 2, "up": 4},
            "written": {"attend.qkv": 2, "up": 4},
            "causal": {"attend.qkv": 2, "up": 4},
            "parted": {"attend.qkv": 2, "up": 4},
        }.items()
    ),
]
ALL = [*NETS, *WIDE]
