#!/usr/bin/env python3
"""Writes norm.h: what PyTorch (float64) makes of batch, instance and group norm in two training steps
and in evaluation, which tests/net/test_norm.c follows.

Inputs are not stored: element i of array number a is ((37*i + 11*a) % 19 - 9) / 8, exact in binary;
so only results are.  python3 make_norm.py > norm.h; needs PyTorch.
"""
import torch

SHAPE = (2, 3, 2, 3, 4)
CASES = [
    ("batch_norm", "{}", lambda: torch.nn.BatchNorm3d(3)),
    ("batch_norm", "{eps: 0.125, momentum: 0.75}", lambda: torch.nn.BatchNorm3d(3, eps=0.125, momentum=0.75)),
    ("batch_norm", "{affine: false}", lambda: torch.nn.BatchNorm3d(3, affine=False)),
    ("instance_norm", "{affine: true}", lambda: torch.nn.InstanceNorm3d(3, affine=True)),
    ("group_norm", "{groups: 1}", lambda: torch.nn.GroupNorm(1, 3)),
]


def array(number, shape):
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return ((37 * i + 11 * number) % 19 - 9).div(8).reshape(shape)


def text(t):
    values = [f"{v:.17g}" for v in (t.flatten().tolist() if t is not None else [0] * 3)]
    rows = [", ".join(values[i:i + 8]) for i in range(0, len(values), 8)]
    return "{" + ",\n     ".join(rows) + "}"


print("/* Made by make_norm.py from PyTorch", torch.__version__.split("+")[0], "in float64; do not edit. */")
print("/* clang-format off */")
print("static const golden goldens[] = {")
for word, attr, make in CASES:
    layer = make().double()
    conv = torch.nn.Conv3d(3, 3, 1, bias=False).double()  # so that the norm's dx shows: in its weights
    conv.weight.data = array(5, (3, 3, 1, 1, 1))
    if layer.weight is not None:
        layer.weight.data = array(1, (3,))
        layer.bias.data = array(2, (3,))
    label = torch.arange(2 * 24).reshape(2, 2, 3, 4) % 3
    for step in range(2):  # the second one's gradients; running statistics after both
        conv.zero_grad()
        layer.zero_grad()
        y = layer(conv(array(3 + step, SHAPE)))
        loss = torch.nn.functional.cross_entropy(y, label, reduction="none").flatten(1).mean(1)
        loss.mean().backward()
    layer.eval()
    with torch.no_grad():
        valid = layer(conv(array(9, SHAPE)))
    running = [getattr(layer, k, None) for k in ("running_mean", "running_var")]
    grads = [p.grad if p is not None else None for p in (layer.weight, layer.bias)]
    print(f'    {{"{word}", "{attr}",')
    for t in (y.detach(), loss.detach(), conv.weight.grad, *grads, *running, valid):
        print("     " + text(t) + ",")
    print("    },")
print("};")
