#!/usr/bin/env python3
"""Writes losses_golden.h: what PyTorch (float64) makes of the losses of segmentations.

Inputs are not stored: element i of output number k is ((37*i + 11*k) % 19 - 9) / 8, exact in binary
(bce: + 9, / 18, inside [0, 1]); label number i is (5*i + i // 3) % classes.  Each sample's loss is of
itself alone; the gradient is that of their sum.  python3 make_losses.py > losses_golden.h
"""
import torch
import torch.nn.functional as F

VOLUME, ONE = (2, 3, 2, 3, 2), (2, 1, 2, 3, 2)


def onehot(x, y):
    c = x.shape[1]
    return y.unsqueeze(1).to(x.dtype) if c == 1 else F.one_hot(y, c).movedim(-1, 1).to(x.dtype)


def each(loss):
    """Of one sample at a time: loss(x[1, ...], y[1, ...])."""
    return lambda x, y: torch.stack([loss(x[n:n + 1], y[n:n + 1]) for n in range(len(x))])


def ce(weights=None, ignore=-100):
    w = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    return each(lambda x, y: F.cross_entropy(x, y, w, ignore_index=ignore))


def tversky(alpha, beta, smooth, background, batch=False):
    def loss(x, y):
        p = x.sigmoid() if x.shape[1] == 1 else x.softmax(1)
        g = onehot(x, y)
        if x.shape[1] > 1 and not background:
            p, g = p[:, 1:], g[:, 1:]
        axes = (0, 2, 3, 4) if batch else (2, 3, 4)
        tp, fp, fn = (p * g).sum(axes), (p * (1 - g)).sum(axes), ((1 - p) * g).sum(axes)
        index = (tp + smooth) / (tp + alpha * fp + beta * fn + smooth)
        return (1 - index.mean()).expand(len(x)) if batch else 1 - index.mean(1)
    return loss


def dice(smooth=1e-5, background=False, batch=False):
    return tversky(0.5, 0.5, smooth / 2, background, batch)


def focal(gamma, alpha=None):
    def loss(x, y):
        if x.shape[1] == 1:  # torchvision's sigmoid_focal_loss
            t = onehot(x, y)
            bce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
            p = x.sigmoid()
            pt = p * t + (1 - p) * (1 - t)
            v = bce * (1 - pt) ** gamma
            return (v * (alpha[0] * t + (1 - alpha[0]) * (1 - t)) if alpha else v).mean()
        v = F.cross_entropy(x, y, reduction="none")
        v = v * (1 - torch.exp(-v)) ** gamma
        return (v * torch.tensor(alpha, dtype=x.dtype)[y] if alpha else v).mean()
    return each(loss)


bce_logits = each(lambda x, y: F.binary_cross_entropy_with_logits(x, onehot(x, y)))
LOW, HIGH = float(torch.tensor(1e-7)), float(torch.tensor(1.0) - torch.tensor(1e-7))
bce = each(lambda x, y: F.binary_cross_entropy(x.clamp(LOW, HIGH), onehot(x, y)))


def plus(a, b, wa=1.0, wb=1.0):
    return lambda x, y: wa * a(x, y) + wb * b(x, y)


CASES = [  # operation, attributes, shape, loss, weights of the outputs
    ("cross_entropy", "", VOLUME, ce(), [1]),
    ("cross_entropy", "weights=1,0.25,3", VOLUME, ce([1, 0.25, 3]), [1]),
    ("cross_entropy", "weights=1,2,0.5 ignore=1", VOLUME, ce([1, 2, 0.5], 1), [1]),
    ("bce_logits", "", ONE, bce_logits, [1]),
    ("bce_logits", "", VOLUME, bce_logits, [1]),
    ("bce", "", ONE, bce, [1]),
    ("dice", "", ONE, dice(), [1]),
    ("dice", "", VOLUME, dice(), [1]),
    ("dice", "smooth=1 background=true", VOLUME, dice(1, True), [1]),
    ("dice", "per=batch", VOLUME, dice(batch=True), [1]),
    ("dice_ce", "", ONE, plus(dice(), bce_logits), [1]),
    ("dice_ce", "weights=1,2,0.5 dice_weight=0.5 ce_weight=3", VOLUME, plus(dice(), ce([1, 2, 0.5]), 0.5, 3), [1]),
    ("dice_ce", "from_weights=0.75,0.25", VOLUME, plus(dice(), ce()), [0.75, 0.25]),
    ("tversky", "", VOLUME, tversky(0.3, 0.7, 1e-5, False), [1]),
    ("tversky", "alpha=1 beta=0.25 smooth=0.5 background=true", VOLUME, tversky(1, 0.25, 0.5, True), [1]),
    ("focal", "", VOLUME, focal(2), [1]),
    ("focal", "gamma=1.5 alpha=1,2,0.5", VOLUME, focal(1.5, [1, 2, 0.5]), [1]),
    ("focal", "alpha=0.25", ONE, focal(2, [0.25]), [1]),
]


def output(op, number, shape):
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    v = (37 * i + 11 * number) % 19 - 9
    return ((v + 9) / 18 if op == "bce" else v / 8).reshape(shape).requires_grad_()


def text(t):
    values = [f"{v:.17g}" for v in t.flatten().tolist()]
    rows = [", ".join(values[i:i + 6]) for i in range(0, len(values), 6)]
    return "{" + ",\n     ".join(rows) + "}"


print(f"/* Made by make_losses.py from PyTorch {torch.__version__.split('+')[0]} in float64; do not edit. */")
print("/* clang-format off */\nstatic const golden goldens[] = {")
for op, attr, shape, loss, weights in CASES:
    n, c, *size = shape
    i = torch.arange(n * size[0] * size[1] * size[2])
    y = ((5 * i + i // 3) % max(c, 2)).reshape(n, *size)
    x = [output(op, k, (n, c, *[-(-s // 2 ** k) for s in size])) for k in range(len(weights))]
    total = 0
    for w, out in zip(weights, x):
        small = F.interpolate(y.unsqueeze(1).double(), out.shape[2:], mode="nearest-exact")[:, 0].long()
        total = total + w * loss(out, small)
    total.sum().backward()
    print(f'    {{"{op}", "{attr}", {{{", ".join(map(str, shape))}}},\n     {text(total)},')
    print("     {" + ",\n     ".join(text(o.grad) for o in x) + "}},")
print("};\n/* clang-format on */")
