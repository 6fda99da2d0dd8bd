#!/usr/bin/env python3
"""Writes OP_golden.h for an operation: what PyTorch (float64) makes of small layers.

Inputs are not stored: element i of array number a is ((37*i + 11*a) % 19 - 9) / 8, exact in
binary; x is number 0, dy number 1, parameter k number 2 + k.
python3 make_ops.py prelu > prelu_golden.h; needs PyTorch.
"""
import sys

import torch
from torch import nn

CASES = {  # operation: [why, attributes, input, PyTorch's layer]
    "conv_transpose": [
        ("the way up in a U-Net", "out=2 kernel=2 stride=2", (2, 3, 1, 2, 3), nn.ConvTranspose3d(3, 2, 2, 2)),
        ("stride, pad, output_pad", "out=3 kernel=3,2,4 stride=2,1,3 pad=1,0,2 output_pad=1,0,2", (1, 2, 2, 3, 2),
         nn.ConvTranspose3d(2, 3, (3, 2, 4), (2, 1, 3), (1, 0, 2), (1, 0, 2))),
        ("dilation with more output_pad than stride", "out=1 kernel=2 stride=2,1,1 dilation=1,2,3 output_pad=1,1,2",
         (2, 2, 2, 2, 3), nn.ConvTranspose3d(2, 1, 2, (2, 1, 1), 0, (1, 1, 2), dilation=(1, 2, 3))),
        ("groups, no bias", "out=6 kernel=1,2,3 stride=1,2,1 groups=2 bias=false", (1, 4, 2, 2, 3),
         nn.ConvTranspose3d(4, 6, (1, 2, 3), (1, 2, 1), groups=2, bias=False)),
    ],
    "prelu": [
        ("one weight", "", (2, 3, 1, 3, 3), nn.PReLU()),
        ("one weight a channel", "parameters=channels", (2, 3, 2, 2, 3), nn.PReLU(3)),
    ],
}


def array(number, shape):
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return ((37 * i + 11 * number) % 19 - 9).div(8).reshape(shape)


def text(t):
    values = [f"{v:.17g}" for v in t.flatten().tolist()]
    rows = [", ".join(values[i:i + 8]) for i in range(0, len(values), 8)]
    return "{" + ",\n     ".join(rows) + "}"


print("/* Made by make_ops.py from PyTorch", torch.__version__.split("+")[0], "in float64; do not edit. */")
print("/* clang-format off */")
for op in sys.argv[1:]:
    rows = []
    for number, (why, attr, shape, layer) in enumerate(CASES[op]):
        layer = layer.double()
        params = list(layer.parameters())
        for k, p in enumerate(params):
            p.data = array(2 + k, p.shape)
        x = array(0, shape).requires_grad_()
        y = layer(x)
        y.backward(array(1, y.shape))
        name = f"{op}{number}"
        for what, t in [("y", y), ("dx", x.grad)] + [(f"p{k}", p.grad) for k, p in enumerate(params)]:
            print(f"static const double {name}_{what}[] =\n    {text(t)};")
        grads = ", ".join(f"{name}_p{k}" for k in range(len(params)))
        rows.append(f'    {{"{why}", "{attr}", {{{", ".join(map(str, shape))}}}, {name}_y, {name}_dx, {{{grads}}}}},')
    print(f"static const vt_golden {op}_golden[] = {{")
    print("\n".join(rows))
    print("    {0}};")
