#!/usr/bin/env python3
"""Writes conv_golden.h: what PyTorch (float64) makes of small 3D convolutions.

Inputs are not stored: element i of array number a is ((37*i + 11*a) % 19 - 9) / 8, exact in
binary; so only results are.  python3 make_conv.py > conv_golden.h; needs PyTorch.
"""
import torch

CASES = [  # why, attributes, input, conv3d's arguments
    ("stride and pad", "out=2 kernel=2,3,2 stride=1,2,3 pad=1,0,1", (2, 3, 2, 5, 4), 2, (2, 3, 2),
     dict(stride=(1, 2, 3), padding=(1, 0, 1))),
    ("dilation", "out=2 kernel=2 dilation=1,2,3 pad=1", (1, 2, 2, 3, 4), 2, (2, 2, 2),
     dict(dilation=(1, 2, 3), padding=1)),
    ("groups", "out=4 kernel=1,2,2 groups=2", (1, 4, 2, 3, 3), 4, (1, 2, 2), dict(groups=2)),
    ("depthwise, strided, dilated", "out=3 kernel=1,3,2 stride=1,2,1 pad=0,2,1 dilation=1,2,1 groups=3",
     (1, 3, 1, 5, 3), 3, (1, 3, 2), dict(stride=(1, 2, 1), padding=(0, 2, 1), dilation=(1, 2, 1), groups=3)),
]


def array(number, shape):
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return ((37 * i + 11 * number) % 19 - 9).div(8).reshape(shape)


def text(t):
    values = [f"{v:.17g}" for v in t.flatten().tolist()]
    rows = [", ".join(values[i:i + 8]) for i in range(0, len(values), 8)]
    return "{" + ",\n     ".join(rows) + "}"


print("/* Made by make_conv.py from PyTorch", torch.__version__.split("+")[0], "in float64; do not edit. */")
print("/* clang-format off */")
print("static const golden goldens[] = {")
for why, attr, shape, outs, kernel, kw in CASES:
    x = array(0, shape).requires_grad_()
    w = array(1, (outs, shape[1] // kw.get("groups", 1), *kernel)).requires_grad_()
    b = array(2, (outs,)).requires_grad_()
    y = torch.nn.functional.conv3d(x, w, b, **kw)
    y.backward(array(3, y.shape))
    print(f'    {{"{why}", "{attr}", {{{", ".join(map(str, shape))}}},')
    for t in (y, x.grad, w.grad, b.grad):
        print("     " + text(t) + ",")
    print("    },")
print("};")
