#!/usr/bin/env python3
"""Writes sgd.h: parameters after each of a few torch.optim.SGD steps; with the argument adam, adam.h,
of Adam and AdamW.  Run with PyTorch 1.13 or newer.

Gradients are g[i] = sin(i + 1 + 0.7 * step) * (1 + 0.3 * step) rounded to float, so that the test can
make them itself; parameters start as cos(i)."""
import math
import sys

import torch

N, STEPS = 7, 4
CASES = [  # lr, momentum, dampening, weight decay, nesterov, clip
    (0.1, 0.0, 0.0, 0.0, 0, 0.0),
    (0.1, 0.0, 0.0, 0.01, 0, 0.0),
    (0.05, 0.9, 0.0, 0.0005, 0, 0.0),
    (0.05, 0.9, 0.3, 0.0, 0, 0.0),
    (0.05, 0.99, 0.0, 0.01, 1, 0.0),
    (0.05, 0.9, 0.0, 0.0005, 0, 1.5),
    (0.05, 0.9, 0.0, 0.0005, 0, 1000.0),
]

ADAM_CASES = [  # lr, beta1, beta2, eps, weight decay, AdamW, amsgrad, clip
    (0.01, 0.9, 0.999, 1e-8, 0.0, 0, 0, 0.0),
    (0.01, 0.8, 0.99, 1e-3, 0.1, 0, 0, 0.0),
    (0.01, 0.9, 0.999, 1e-8, 0.1, 1, 0, 0.0),
    (0.01, 0.5, 0.6, 1e-8, 0.01, 0, 1, 0.0),
    (0.01, 0.5, 0.6, 1e-8, 0.01, 1, 1, 1.5),
]


def number(v):
    text = "%.9g" % v
    return text + ("f" if "." in text or "e" in text else ".0f")


def run(make, clip):
    """The rows of parameters after each step, as C."""
    p = torch.nn.Parameter(torch.tensor([math.cos(i) for i in range(N)], dtype=torch.float32))
    opt = make(p)
    rows = []
    for step in range(STEPS):
        p.grad = torch.tensor([math.sin(i + 1 + 0.7 * step) * (1 + 0.3 * step) for i in range(N)],
                              dtype=torch.float32)
        if clip:
            torch.nn.utils.clip_grad_norm_([p], clip)
        opt.step()
        rows.append("{" + ", ".join(number(v) for v in p.detach().tolist()) + "}")
    return "{%s}" % ",\n      ".join(rows)


def head(name, cases):
    print("/* %s.h - made by make_optimizers.py with PyTorch %s; do not edit. */" % (name, torch.__version__.split("+")[0]))
    upper = name.upper()
    print("enum { %s_N = %d, %s_STEPS = %d, %s_CASES = %d };" % (upper, N, upper, STEPS, upper, len(cases)))


def adam():
    head("adam", ADAM_CASES)
    print("static const struct {\n    double lr, beta1, beta2, eps, weight_decay;\n    int adamw, amsgrad;\n"
          "    double clip;\n    float param[ADAM_STEPS][ADAM_N];\n} adam_case[ADAM_CASES] = {")
    for lr, beta1, beta2, eps, decay, adamw, amsgrad, clip in ADAM_CASES:
        kind = torch.optim.AdamW if adamw else torch.optim.Adam
        rows = run(lambda p: kind([p], lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay,
                                  amsgrad=bool(amsgrad)), clip)
        print("    {%g, %g, %g, %g, %g, %d, %d, %g,\n     %s}," % (lr, beta1, beta2, eps, decay, adamw,
                                                              amsgrad, clip, rows))
    print("};")


def sgd():
    head("sgd", CASES)
    print("static const struct {\n    double lr, momentum, dampening, weight_decay;\n    int nesterov;\n"
          "    double clip;\n    float param[SGD_STEPS][SGD_N];\n} sgd_case[SGD_CASES] = {")
    for lr, momentum, dampening, decay, nesterov, clip in CASES:
        rows = run(lambda p: torch.optim.SGD([p], lr=lr, momentum=momentum, dampening=dampening,
                                             weight_decay=decay, nesterov=bool(nesterov)), clip)
        print("    {%g, %g, %g, %g, %d, %g,\n     %s}," % (lr, momentum, dampening, decay, nesterov, clip,
                                                      rows))
    print("};")


adam() if sys.argv[1:] == ["adam"] else sgd()
