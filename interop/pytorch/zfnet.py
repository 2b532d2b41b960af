"""ZFNet (Zeiler & Fergus 2013, Fig. 3) as a PyTorch module, with its variants and AlexNet.

Presets, layer names and sizes are those of src/zfnet/model/model.ts, so that each side can load weights trained by the other.
"""
import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from draws import Generator, normal

# A convolution is (maps, kernel, stride, padding); a pool is (kernel, stride, padding, ceil).
CEIL = (3, 2, 0, True)
PAPER_NORM = {'size': 5, 'alpha': 1e-4, 'beta': 0.75, 'k': 2.0, 'region': 'across'}
A_CONV = ((96, 7, 2, 1), (256, 5, 2, 0), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1))

# `pool` lists the poolings after conv1, conv2 and conv5; `norm` follows conv1 and conv2; `units` are the sizes of fc6 and fc7.
A = {'conv': A_CONV, 'pool': (CEIL, CEIL, CEIL), 'norm': PAPER_NORM, 'norm_before_pool': False, 'units': (4096, 4096)}
PRESETS = {
    'a': A,
    'b': {**A, 'conv': (*A_CONV[:2], (512, 3, 1, 1), (1024, 3, 1, 1), (512, 3, 1, 1))},
    'zfnet512': {
        'conv': ((96, 7, 2, 0), (256, 5, 2, 0), (512, 3, 1, 1), (512, 3, 1, 1), (512, 3, 1, 1)),
        'pool': ((3, 2, 0, False), (3, 2, 0, False), (2, 2, 0, False)),
        'norm': {**PAPER_NORM, 'alpha': 5e-4},
        'norm_before_pool': True,
        'units': (4096, 1024),
    },
    'faster-rcnn': {
        'conv': ((96, 7, 2, 3), (256, 5, 2, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1)),
        'pool': ((3, 2, 1, True), (3, 2, 1, True), None),
        'norm': {'size': 3, 'alpha': 5e-5, 'beta': 0.75, 'k': 1.0, 'region': 'within'},
        'norm_before_pool': True,
        'units': (),
    },
    'alexnet': {
        **A,
        'conv': ((96, 11, 4, 2), (256, 5, 1, 2), *A_CONV[2:]),
        'pool': ((3, 2, 0, False),) * 3,
    },
    'small': {**A, 'conv': ((96, 7, 1, 3), (256, 5, 1, 2), *A_CONV[2:])},
}


class LocalResponseNorm(nn.Module):
    """y = x / (k + alpha / count · Σ x²) ^ beta over `size` channels (`across`) or size × size pixels (`within` a channel).

    PyTorch implements only `across`; the ZF model of Caffe needs `within`.
    """

    def __init__(self, size, alpha, beta, k, region):
        super().__init__()
        self.size, self.alpha, self.beta, self.k, self.region = size, alpha, beta, k, region

    def forward(self, x):
        if self.region == 'across':
            return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)
        mean = F.avg_pool2d(x * x, self.size, stride=1, padding=self.size // 2)
        return x / (self.k + self.alpha * mean) ** self.beta


class ZfNet(nn.Sequential):
    """A network with layers named as in the paper: conv1, relu1, pool1, norm1, … fc8 (logits).

    `architecture` is that of `config.json`: preset, classes, inputSize, channels, width, dropout, and for variants `without`, `maps`, `units`.
    The input is [N, channels, size, size].
    """

    def __init__(self, architecture):
        super().__init__(layers(architecture))
        self.architecture = architecture

    @torch.no_grad()
    def initialize(self, scheme, seed):
        """Samples the same initial weights as `zfnet(preset, { init: scheme, seed })`, up to the rounding of float32."""
        generator = Generator(seed, 'init')
        weights = [(name, p) for name, p in self.named_parameters() if p.dim() > 1]
        for p in self.parameters():
            p.zero_()
        for i, (_, weight) in enumerate(weights):
            draw(weight, deviation(scheme, weight.shape, i == 0), generator)
        name, last = weights[-1]
        if scheme != 'paper' and name == 'fc8.weight':
            draw(last, deviation('paper', last.shape, True), generator)
        return self


def layers(architecture):
    """Returns the layers of a preset, or of a variant of it, in order and by name."""
    spec = PRESETS.get(architecture['preset'])
    if spec is None:
        raise ValueError(f"there is no preset '{architecture['preset']}', expected one of {', '.join(PRESETS)}")
    size, channels, width = architecture['inputSize'], architecture['channels'], architecture['width']
    without = architecture.get('without', ())
    all_maps = architecture.get('maps', [conv[0] for conv in spec['conv']])
    all_units = architecture.get('units', spec['units'])
    made = OrderedDict()

    def scaled(count):
        return max(1, math.floor(count * width + 0.5))

    def add_pool(block, pool):
        nonlocal size
        if pool is None:
            return
        kernel, stride, padding, ceil = pool
        made[f'pool{block}'] = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
        size = window_count(size, kernel, stride, padding, ceil)

    for block, (maps, (_, kernel, stride, padding)) in enumerate(zip(all_maps, spec['conv']), start=1):
        if f'conv{block}' not in without:
            made[f'conv{block}'] = nn.Conv2d(channels, scaled(maps), kernel, stride, padding)
            made[f'relu{block}'] = nn.ReLU(inplace=True)
            channels = scaled(maps)
            size = window_count(size, kernel, stride, padding)
        if block > 2:
            continue
        norm = LocalResponseNorm(**spec['norm'])
        if spec['norm_before_pool']:
            made[f'norm{block}'] = norm
        add_pool(block, spec['pool'][block - 1])
        if not spec['norm_before_pool']:
            made[f'norm{block}'] = norm
    add_pool(5, spec['pool'][2])
    if not all_units:
        return made
    made['flatten'] = nn.Flatten()
    features = channels * size * size
    for block, units in enumerate(all_units, start=6):
        if f'fc{block}' in without:
            continue
        made[f'fc{block}'] = nn.Linear(features, scaled(units))
        made[f'relu{block}'] = nn.ReLU(inplace=True)
        if architecture['dropout'] > 0:
            made[f'drop{block}'] = nn.Dropout(architecture['dropout'])
        features = scaled(units)
    made['fc8'] = nn.Linear(features, architecture['classes'])
    return made


def window_count(size, kernel, stride, padding, ceil=False):
    """Returns the number of window positions. With `ceil`, a last window that extends past the input counts if it starts in the input or
    its left padding.
    """
    room = size + 2 * padding - kernel
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def deviation(scheme, shape, is_first):
    """Returns the standard deviation of the initial weights of a layer: see src/nn/init.ts."""
    places = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * places, shape[0] * places
    if scheme == 'paper' or (scheme == 'mixed' and is_first):
        return 1e-2
    if scheme in ('he', 'mixed'):
        return math.sqrt(2 / fan_in)
    if scheme == 'glorot':
        return math.sqrt(2 / (fan_in + fan_out))
    raise ValueError(f"unknown scheme of initial weights '{scheme}', expected paper, he, glorot or mixed")


def draw(weight, std, generator):
    numbers = normal(generator.seed, generator.take(weight.numel()), weight.numel(), std)
    weight.copy_(torch.from_numpy(numbers).reshape(weight.shape))


@torch.no_grad()
def limit_filters(model, largest):
    """Limits filters as in the paper, after each update: a filter whose root mean square exceeds `largest` is scaled back to it."""
    for weight in model.parameters():
        if weight.dim() == 4:
            rms = weight.pow(2).mean((1, 2, 3), keepdim=True).sqrt()
            weight.mul_(torch.where(rms > largest, largest / rms, torch.ones_like(rms)))
