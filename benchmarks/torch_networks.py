"""Keras's networks in PyTorch, for the peers that run there."""

from torch import nn


def resnet50() -> nn.Module:
    """The network of keras.applications.ResNet50: same widths, strides and biases."""

    def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, size, stride, size // 2), nn.BatchNorm2d(outputs)]

    class Bottleneck(nn.Module):
        def __init__(self, inputs: int, width: int, stride: int, project: bool):
            super().__init__()
            self.branch = nn.Sequential(
                *(*convolution(inputs, width, 1, stride), nn.ReLU()),
                *(*convolution(width, width, 3), nn.ReLU()),
                *convolution(width, 4 * width, 1),
            )
            projection = convolution(inputs, 4 * width, 1, stride) if project else []
            self.shortcut = nn.Sequential(*projection)
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.shortcut(x) + self.branch(x))

    model = nn.Sequential(*convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    inputs = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            model.append(Bottleneck(inputs, width, 1 if block else stride, project=not block))
            inputs = 4 * width
    model.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten())
    model.add_module("fc", nn.Linear(inputs, 1000))
    return model


def count_params(model: nn.Module) -> int:
    """Counts as Keras does: averages of batch normalisation in, counters of batches not."""
    return sum(value.numel() for value in model.state_dict().values() if value.ndim)
