"""The network of airbench94 in PyTorch, to measure its training step.

Jordan: "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498. The
same layers as `fovea.models.zoo.speednet` with its default options, channels last,
which is PyTorch's faster layout for convolutions on CPUs.
"""

import torch
from torch import nn
from torch.nn import functional


class ConvGroup(nn.Module):
    """Two convolutions, the first one pooled; both normalised without a scale."""

    def __init__(self, inputs: int, filters: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters, momentum=0.6, eps=1e-12)
        self.norm2 = nn.BatchNorm2d(filters, momentum=0.6, eps=1e-12)
        self.norm1.weight.requires_grad = False
        self.norm2.weight.requires_grad = False

    def forward(self, x):
        x = functional.gelu(self.norm1(functional.max_pool2d(self.conv1(x), 2)))
        return functional.gelu(self.norm2(self.conv2(x)))


class AirbenchNet(nn.Module):
    """Float images (N, 3, H, W) -> logits (N, 10)."""

    def __init__(self):
        super().__init__()
        self.whitening = nn.Conv2d(3, 24, 2)
        self.whitening.requires_grad_(False)
        self.groups = nn.Sequential(
            ConvGroup(24, 64), ConvGroup(64, 256), ConvGroup(256, 256)
        )
        self.scores = nn.Linear(256, 10, bias=False)

    def forward(self, x):
        x = self.groups(functional.gelu(self.whitening(x)))
        return self.scores(x.amax((2, 3))) / 9


def training_step(batch_size: int, side: int, dtype: str = "float32"):
    """Return a function that does one training step and waits for it."""
    net = AirbenchNet().to(memory_format=torch.channels_last).train()
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.85, nesterov=True)
    images = torch.randn(batch_size, 3, side, side)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch_size,))
    half = dtype == "bfloat16"

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = net(images)
        loss = functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss)

    return step
