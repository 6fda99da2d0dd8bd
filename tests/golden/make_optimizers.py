#!/usr/bin/env python3
"""Writes sgd.h: parameters after each of a few torch.optim.SGD steps; with the argument adam, adam.h,
of Adam and AdamW; with layerwise, layerwise.h, of LARS and LAMB, which PyTorch does not have: in double,
by the algorithms of the papers (arXiv 1708.03888, algorithm 1; 1904.00962, algorithm 2).  Run with
PyTorch 1.13 or newer.

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

LAYERWISE_CASES = [  # LAMB, lr, momentum or beta1, beta2, eps, weight decay, trust, adapt all, clip
    (0, 0.5, 0.9, 0.0, 1e-8, 0.05, 0.1, 0, 0.0),
    (0, 0.5, 0.9, 0.0, 0.1, 0.05, 0.1, 1, 0.0),
    (0, 0.5, 0.5, 0.0, 1e-8, 0.05, 0.1, 1, 0.7),
    (1, 0.02, 0.9, 0.999, 1e-6, 0.1, 0.0, 0, 0.0),
    (1, 0.05, 0.5, 0.6, 1e-3, 0.1, 0.0, 1, 0.0),
    (1, 0.05, 0.5, 0.6, 1e-3, 0.1, 0.0, 1, 0.7),
]
FIRST = 4  # elements of the first tensor, which has one dimension; the others are a second one, which has two


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


def gradients(step):
    single = [torch.tensor(math.sin(i + 1 + 0.7 * step) * (1 + 0.3 * step)).item() for i in range(N)]
    return single[:FIRST], single[FIRST:]


def norm(x):
    return math.sqrt(sum(v * v for v in x))


def layerwise_run(lamb, lr, beta1, beta2, eps, decay, trust, everything, clip):
    single = [torch.tensor(math.cos(i)).item() for i in range(N)]
    w = [single[:FIRST], single[FIRST:]]
    m, v = [[0.0] * len(t) for t in w], [[0.0] * len(t) for t in w]
    rows = []
    for step in range(STEPS):
        g = gradients(step)
        scale = min(1.0, clip / (norm(g[0] + g[1]) + 1e-6)) if clip else 1.0
        for k in range(2):
            adapted = everything or k == 1
            beta = decay if adapted else 0.0
            grad = [scale * x for x in g[k]]
            if lamb:
                m[k] = [beta1 * a + (1 - beta1) * x for a, x in zip(m[k], grad)]
                v[k] = [beta2 * a + (1 - beta2) * x * x for a, x in zip(v[k], grad)]
                r = [a / (1 - beta1 ** (step + 1)) / (math.sqrt(b / (1 - beta2 ** (step + 1))) + eps) + beta * x
                     for a, b, x in zip(m[k], v[k], w[k])]
                ratio = norm(w[k]) / norm(r) if adapted else 1.0
                w[k] = [x - lr * ratio * d for x, d in zip(w[k], r)]
            else:
                ratio = trust * norm(w[k]) / (norm(grad) + beta * norm(w[k]) + eps) if adapted else 1.0
                m[k] = [beta1 * a + lr * ratio * (x + beta * y) for a, x, y in zip(m[k], grad, w[k])]
                w[k] = [x - a for x, a in zip(w[k], m[k])]
        rows.append("{" + ", ".join(number(x) for x in w[0] + w[1]) + "}")
    return "{%s}" % ",\n      ".join(rows)


def layerwise():
    print("/* layerwise.h - made by make_optimizers.py; do not edit. */")
    print("enum { LAYERWISE_N = %d, LAYERWISE_STEPS = %d, LAYERWISE_CASES = %d };" % (N, STEPS, len(LAYERWISE_CASES)))
    print("static const struct {\n    int lamb;\n    double lr, beta1, beta2, eps, weight_decay, trust;\n"
          "    int everything;\n    double clip;\n    float param[LAYERWISE_STEPS][LAYERWISE_N];\n"
          "} layerwise_case[LAYERWISE_CASES] = {")
    for case in LAYERWISE_CASES:
        print("    {%d, %g, %g, %g, %g, %g, %g, %d, %g,\n     %s}," % (case + (layerwise_run(*case),)))
    print("};")


{"adam": adam, "layerwise": layerwise}.get("".join(sys.argv[1:]), sgd)()
