"""PyTorch on the CPU (Debian's python3-torch), the native engine to compare with. Like the .mjs files beside it: one reading, one JSON line."""
import argparse
import json
import math
import os
import re
import statistics
import struct
import time

import numpy
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--workload", default="zfnet-forward")
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--seconds", type=float, default=3)
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--warm", type=int, default=2)
parser.add_argument("--weights")
parser.add_argument("--model")
parser.add_argument("--mode")
task = parser.parse_args()

torch.set_num_threads(task.threads)
torch.manual_seed(1)


def norm():
    return nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)


def named(layers):
    model = nn.Sequential()
    for name, layer in layers:
        model.add_module(name, layer)
    return model


def relu(name):
    return (name, nn.ReLU(inplace=True))


NETWORKS = {
    "zfnet": lambda: named([
        ("conv1", nn.Conv2d(3, 96, 7, 2, 1)), relu("relu1"), ("pool1", nn.MaxPool2d(3, 2, ceil_mode=True)), ("norm1", norm()),
        ("conv2", nn.Conv2d(96, 256, 5, 2)), relu("relu2"), ("pool2", nn.MaxPool2d(3, 2, ceil_mode=True)), ("norm2", norm()),
        ("conv3", nn.Conv2d(256, 384, 3, 1, 1)), relu("relu3"), ("conv4", nn.Conv2d(384, 384, 3, 1, 1)), relu("relu4"),
        ("conv5", nn.Conv2d(384, 256, 3, 1, 1)), relu("relu5"), ("pool5", nn.MaxPool2d(3, 2, ceil_mode=True)), ("flatten", nn.Flatten()),
        ("fc6", nn.Linear(9216, 4096)), relu("relu6"), ("drop6", nn.Dropout(0.5)),
        ("fc7", nn.Linear(4096, 4096)), relu("relu7"), ("drop7", nn.Dropout(0.5)), ("fc8", nn.Linear(4096, 1000)),
    ]),
    "lenet": lambda: named([
        ("conv1", nn.Conv2d(1, 6, 5)), relu("relu1"), ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(6, 16, 5)), relu("relu2"), ("pool2", nn.MaxPool2d(2)), ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(256, 120)), relu("relu3"), ("fc2", nn.Linear(120, 84)), relu("relu4"), ("fc3", nn.Linear(84, 10)),
    ]),
}
SHAPES = {"zfnet": ([3, 224, 224], 1000), "lenet": ([1, 28, 28], 10)}


def load(model, path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    state = {}
    for name, tensor in model.state_dict().items():
        begin, end = header[name]["data_offsets"]
        state[name] = torch.from_numpy(numpy.frombuffer(data[begin:end], "<f4").copy()).reshape(tensor.shape)
    model.load_state_dict(state)


def noise(shape):
    """The same values as `images` of networks.mjs."""
    numbers = numpy.empty(math.prod(shape), "float32")
    state = (7 * 2654435761 + 1) & 0xFFFFFFFF
    for i in range(numbers.size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        numbers[i] = state / 2**31 - 1
    return torch.from_numpy(numbers).reshape(shape)


def peak_memory():
    """Peak memory by VmHWM, because ru_maxrss may be inherited from the parent process."""
    with open("/proc/self/status") as status:
        return 1024 * int(next(line.split()[1] for line in status if line.startswith("VmHWM")))


def blas():
    """File name of the library that computes matrix products, as loaded now. It depends on Debian's alternatives, not on the build."""
    with open("/proc/self/maps") as maps:
        files = {line.split()[-1] for line in maps if re.search(r"blas|mkl_core|blis", line)}
    names = sorted(os.path.basename(os.path.realpath(file)) for file in files)
    better = [name for name in names if re.search(r"openblas|mkl_core|blis", name)]
    return (better or names or ["none"])[0]


network = task.workload.split("-")[0]
extents, classes = SHAPES[network]
model = NETWORKS[network]()
if task.weights:
    load(model, task.weights)
# Only the first image is compared; the others are arbitrary.
x = torch.randn([task.batch] + extents)
x[0] = noise(extents)
y = torch.tensor([(i * 37) % classes for i in range(task.batch)])
optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)
loss_of = nn.CrossEntropyLoss()
logits = None


def train():
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(model(x), y)
    loss.backward()
    optimizer.step()
    if not math.isfinite(loss.item()):
        raise ArithmeticError("the loss is not finite")


def forward():
    global logits
    with torch.no_grad():
        logits = model(x)


training = task.workload != "zfnet-forward"
model.train(training)
step = train if training else forward
before = time.perf_counter()
while task.warm > 0 or time.perf_counter() - before < task.seconds / 4:
    step()
    task.warm -= 1
times = []
started = time.perf_counter()
while len(times) < task.runs or time.perf_counter() - started < task.seconds:
    cpu, wall = time.process_time(), time.perf_counter()
    step()
    elapsed = time.perf_counter() - wall
    times.append(min(elapsed, time.process_time() - cpu) if task.threads == 1 else elapsed)
print(json.dumps({
    "peer": "pytorch", "version": torch.__version__, "blas": blas(), "config": torch.__config__.show(), "workload": task.workload, "batch": task.batch, "threads": task.threads,
    "imagesPerSecond": task.batch / statistics.median(times), "peakMemoryBytes": peak_memory(),
    **({} if training else {"logits": logits[0].tolist()}),
}))
