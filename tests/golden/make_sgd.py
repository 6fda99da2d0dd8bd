#!/usr/bin/env python3
"""Writes sgd.h: parameters after each of a few torch.optim.SGD steps.  Run with PyTorch 1.13 or newer.

Gradients are g[i] = sin(i + 1 + 0.7 * step) * (1 + 0.3 * step) rounded to float, so that the test can
make them itself; parameters start as cos(i)."""
import math

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

print("/* sgd.h - made by make_sgd.py with PyTorch %s; do not edit. */" % torch.__version__.split("+")[0])
print("enum { SGD_N = %d, SGD_STEPS = %d, SGD_CASES = %d };" % (N, STEPS, len(CASES)))
print("static const struct {\n    double lr, momentum, dampening, weight_decay;\n    int nesterov;\n"
      "    double clip;\n    float param[SGD_STEPS][SGD_N];\n} sgd_case[SGD_CASES] = {")
for lr, momentum, dampening, decay, nesterov, clip in CASES:
    p = torch.nn.Parameter(torch.tensor([math.cos(i) for i in range(N)], dtype=torch.float32))
    opt = torch.optim.SGD([p], lr=lr, momentum=momentum, dampening=dampening, weight_decay=decay,
                          nesterov=bool(nesterov))
    rows = []
    for step in range(STEPS):
        p.grad = torch.tensor([math.sin(i + 1 + 0.7 * step) * (1 + 0.3 * step) for i in range(N)],
                              dtype=torch.float32)
        if clip:
            torch.nn.utils.clip_grad_norm_([p], clip)
        opt.step()
        rows.append("{" + ", ".join("%.9gf" % v if "." in "%.9g" % v or "e" in "%.9g" % v else "%.9g.0f" % v
                                     for v in p.detach().tolist()) + "}")
    print("    {%g, %g, %g, %g, %d, %g,\n     {%s}}," % (lr, momentum, dampening, decay, nesterov, clip,
                                                  ",\n      ".join(rows)))
print("};")
