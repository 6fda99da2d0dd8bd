#!/usr/bin/env python3
"""Writes unet50/: a small 3D U-Net's initial weights, images with masks, and PyTorch's losses over 50
steps of Adam, which tests/train/test_golden.c follows.  Needs torch and numpy; made with torch 1.13.

Rerunning it gives the same files; the test's tolerance is stated there."""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from safetensors_file import write_safetensors

here = pathlib.Path(__file__).parent / "unet50"
CASES, BATCH, STEPS, SHAPE = 8, 4, 50, (4, 8, 12)
EXPERIMENT = """# Made by make_unet50.py.
name: unet50
network:
  input: {channels: 1, size: [4, 8, 12]}
  layers:
    - conv: {name: down1, out: 4, kernel: 3, pad: 1, bias: false}
    - batch_norm: {name: norm1, sync: true}
    - relu: {name: skip}
    - max_pool: {kernel: 2}
    - conv: {name: bottom, out: 8, kernel: 3, pad: 1}
    - batch_norm: {name: norm2, sync: true}
    - leaky_relu: {slope: 0.01}
    - conv_transpose: {name: up, out: 4, kernel: 2, stride: 2}
    - concat: {from: [up, skip]}
    - conv: {name: join, out: 4, kernel: 3, pad: 1}
    - instance_norm: {name: norm3, affine: true}
    - relu:
    - conv: {name: logits, out: 3, kernel: 1}
  loss: dice_ce
data:
  train: {manifest: train.csv}
train:
  batch: 4
  iterations: 50
  optimizer: {adam: {lr: 0.005}}
  shuffle: false
"""


class UNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = torch.nn.Conv3d(1, 4, 3, padding=1, bias=False)
        self.norm1 = torch.nn.BatchNorm3d(4)
        self.bottom = torch.nn.Conv3d(4, 8, 3, padding=1)
        self.norm2 = torch.nn.BatchNorm3d(8)
        self.up = torch.nn.ConvTranspose3d(8, 4, 2, stride=2)
        self.join = torch.nn.Conv3d(8, 4, 3, padding=1)
        self.norm3 = torch.nn.InstanceNorm3d(4, affine=True)
        self.logits = torch.nn.Conv3d(4, 3, 1)

    def forward(self, x):
        skip = F.relu(self.norm1(self.down1(x)))
        y = F.leaky_relu(self.norm2(self.bottom(F.max_pool3d(skip, 2))), 0.01)
        y = torch.cat([self.up(y), skip], 1)
        return self.logits(F.relu(self.norm3(self.join(y))))


def network(dtype):
    # Of some seeds a voxel comes so near to a kink of relu that rounding decides its gradient: not of this.
    torch.manual_seed(15)
    return UNet().to(dtype)


def data():
    rng = np.random.default_rng(6)
    mask = np.zeros((CASES,) + SHAPE, np.uint8)
    for i in range(CASES):  # a box of class 1, and one of class 2 in it or beside it
        d, h, w = rng.integers(0, 2), rng.integers(0, 4), rng.integers(0, 6)
        mask[i, d:d + 3, h:h + 4, w:w + 6] = 1
        mask[i, d:d + 2, h + 1:h + 3, w + 2:w + 5] = 2
    voxel = rng.normal(0, 0.4, mask.shape) + mask
    return voxel.astype(np.float32), mask


def loss_of(x, y):
    """Soft Dice of the classes but 0, of each sample, and the cross entropy."""
    p, g = x.softmax(1)[:, 1:], F.one_hot(y, 3).movedim(-1, 1).to(x.dtype)[:, 1:]
    overlap = (2 * (p * g).sum((2, 3, 4)) + 1e-5) / (p.sum((2, 3, 4)) + g.sum((2, 3, 4)) + 1e-5)
    return (1 - overlap).mean() + F.cross_entropy(x, y)


def train(dtype):
    voxel, mask = data()
    net = network(dtype)
    adam = torch.optim.Adam(net.parameters(), lr=0.005)
    losses = []
    for step in range(STEPS):
        at = step * BATCH % CASES
        x = torch.from_numpy(voxel[at:at + BATCH, None]).to(dtype)
        loss = loss_of(net(x), torch.from_numpy(mask[at:at + BATCH].astype(np.int64)))
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


torch.set_num_threads(1)
here.mkdir(exist_ok=True)
voxel, mask = data()
with open(here / "train.csv", "w") as f:
    f.write("image,mask\n")
    for i in range(CASES):
        np.save(here / f"image{i}.npy", voxel[i])
        np.save(here / f"mask{i}.npy", mask[i])
        f.write(f"image{i}.npy,mask{i}.npy\n")
(here / "experiment.yaml").write_text(EXPERIMENT)
state = network(torch.float32).state_dict()
write_safetensors(here / "init.safetensors",
                  {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})
losses, exact = train(torch.float32), train(torch.float64)
np.savetxt(here / "losses.txt", losses, fmt="%.9g")
gap = max(abs(a - b) / b for a, b in zip(losses, exact))
print(f"losses {losses[0]:.4f} .. {losses[-1]:.4f}; float32 is within {gap:.1e} of float64")
