#!/usr/bin/env python3
"""Writes train50/: a small classifier's initial weights, its data, and PyTorch's losses over 50
steps of SGD, which tests/train/test_golden.c follows.  Needs torch and numpy; made with torch 1.13.

Rerunning it gives the same files; the test's tolerance is stated there."""
import pathlib

import numpy as np
import torch

from safetensors_file import write_safetensors

here = pathlib.Path(__file__).parent / "train50"
CASES, BATCH, STEPS, SHAPE = 24, 5, 50, (6, 10, 10)
EXPERIMENT = """# Made by make_train50.py.
name: train50
network:
  input: {channels: 1, size: [6, 10, 10]}
  layers:
    - conv: {name: conv1, out: 4, kernel: 3, pad: 1}
    - relu:
    - max_pool: {kernel: 2}
    - conv: {name: conv2, out: 8, kernel: 3, stride: [1, 2, 2], pad: 1}
    - relu:
    - flatten:
    - dense: {name: fc1, out: 16}
    - relu:
    - dense: {name: fc2, out: 3}
  loss: cross_entropy
data:
  train: {manifest: train.csv}
train:
  batch: 5
  iterations: 50
  optimizer: {sgd: {lr: 0.02, momentum: 0.9, weight_decay: 0.0005}}
  shuffle: false
"""


def network(dtype):
    torch.manual_seed(11)
    layers = torch.nn.Sequential()
    layers.add_module("conv1", torch.nn.Conv3d(1, 4, 3, padding=1))
    layers.add_module("relu1", torch.nn.ReLU())
    layers.add_module("pool1", torch.nn.MaxPool3d(2))
    layers.add_module("conv2", torch.nn.Conv3d(4, 8, 3, stride=(1, 2, 2), padding=1))
    layers.add_module("relu2", torch.nn.ReLU())
    layers.add_module("flatten", torch.nn.Flatten())
    layers.add_module("fc1", torch.nn.Linear(8 * 3 * 3 * 3, 16))
    layers.add_module("relu3", torch.nn.ReLU())
    layers.add_module("fc2", torch.nn.Linear(16, 3))
    return layers.to(dtype)


def data():
    rng = np.random.default_rng(5)
    label = rng.permutation(np.arange(CASES) % 3)
    voxel = rng.normal(0, 1, (CASES, 1) + SHAPE)
    for i, k in enumerate(label):  # a blob whose place shows the class, hard to see in the noise
        voxel[i, 0, 1 + k : 4 + k, 2 + 2 * k : 5 + 2 * k, 3:7] += 0.9
    return voxel.astype(np.float32), label.astype(np.int64)


def train(dtype):
    voxel, label = data()
    net = network(dtype)
    sgd = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=0.0005)
    losses, at = [], 0
    for _ in range(STEPS):
        end = min(at + BATCH, CASES)
        x = torch.from_numpy(voxel[at:end]).to(dtype)
        loss = torch.nn.functional.cross_entropy(net(x), torch.from_numpy(label[at:end]))
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
        at = end % CASES
    return losses


torch.set_num_threads(1)
here.mkdir(exist_ok=True)
voxel, label = data()
with open(here / "train.csv", "w") as f:
    f.write("image,label\n")
    for i in range(CASES):
        np.save(here / f"case{i:02d}.npy", voxel[i, 0])
        f.write(f"case{i:02d}.npy,{label[i]}\n")
(here / "experiment.yaml").write_text(EXPERIMENT)
write_safetensors(here / "init.safetensors", network(torch.float32).state_dict())
losses, exact = train(torch.float32), train(torch.float64)
np.savetxt(here / "losses.txt", losses, fmt="%.9g")
gap = max(abs(a - b) / b for a, b in zip(losses, exact))
print(f"losses {losses[0]:.4f} .. {losses[-1]:.4f}; float32 is within {gap:.1e} of float64")
