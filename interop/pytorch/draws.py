"""The random numbers of zfnet: the order of an epoch, the crops and the initial weights, all computed from (seed, counter) with Philox 4x32-10.

The results equal those of src/backend/philox.ts, src/tensor/random.ts, src/data/random.ts and src/zfnet/input/augment.ts; the functions here
are vectorised with numpy.
"""
import numpy as np

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
STREAM_LENGTH = 2**48
STREAMS = {'general': 0, 'init': 1, 'dropout': 2, 'order': 7, 'samples': 11, 'augment': 4}
ORDER_LENGTH = 2**28
EXAMPLES = 2**32


def philox(seed, counters):
    """Returns four 32-bit words for each counter: uint64 [len(counters), 4]."""
    counters = np.asarray(counters, dtype=np.uint64)
    c0, c1 = counters & LOW, counters >> HALF
    c2, c3 = np.zeros_like(c0), np.zeros_like(c0)
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        product0 = c0 * np.uint64(0xD2511F53)
        product1 = c2 * np.uint64(0xCD9E8D57)
        c0 = (product1 >> HALF) ^ c1 ^ np.uint64(key0)
        c2 = (product0 >> HALF) ^ c3 ^ np.uint64(key1)
        c1, c3 = product1 & LOW, product0 & LOW
        key0 = (key0 + 0x9E3779B9) & 0xFFFFFFFF
        key1 = (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1)


class Generator:
    """A random generator: a seed and a position (counter) in one of its streams."""

    def __init__(self, seed, stream):
        self.seed = seed
        self.counter = STREAMS[stream] * STREAM_LENGTH

    def take(self, count):
        """Reserves the next `count` words and returns their first counter."""
        start = self.counter
        self.counter += -(-count // 4)
        return start

    def state(self):
        return {'seed': self.seed, 'counter': self.counter}


def normal(seed, counter, count, std):
    """Returns `count` float32 samples of N(0, std²), by the Box-Muller transform."""
    words = philox(seed, counter + np.arange(-(-count // 4), dtype=np.uint64)).reshape(-1, 2).astype(np.float64)
    radius = np.sqrt(-2 * np.log((words[:, 0] + 1) / 2**32))
    angle = 2 * np.pi * (words[:, 1] / 2**32)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return (std * pairs.reshape(-1)[:count]).astype(np.float32)


def epoch_order(length, seed, epoch):
    """Returns the order of `length` examples in an epoch (counted from 1): a Fisher-Yates shuffle."""
    return shuffled(length, seed, STREAMS['order'] * STREAM_LENGTH + epoch * ORDER_LENGTH)


def sample_places(length, count, seed=0):
    """Returns `count` distinct random indices below `length` in ascending order; all indices if `count` is at least `length`."""
    if count >= length:
        return list(range(length))
    return sorted(shuffled(length, seed, STREAMS['samples'] * STREAM_LENGTH)[:count])


def shuffled(length, seed, start):
    """Returns the indices below `length`, shuffled with the random words from the counter `start` on."""
    draws = max(length - 1, 0)
    words = philox(seed, start + np.arange(-(-draws // 4), dtype=np.uint64)).reshape(-1)[:draws]
    places = np.arange(length - 1, 0, -1)
    partners = np.floor(words.astype(np.float64) / 2**32 * (places + 1)).astype(np.int64)
    order = list(range(length))
    for i, j in zip(places.tolist(), partners.tolist()):
        order[i], order[j] = order[j], order[i]
    return order


def centre_crop(slack):
    return slack // 2, slack // 2, False


def draw_crops(augment, slack, seed, epoch, indices):
    """Returns the crop (y, x, flip) of each index in an epoch. `slack` is the side of the image minus the side of the crop."""
    if augment == 'none':
        return [centre_crop(slack)] * len(indices)
    start = STREAMS['augment'] * STREAM_LENGTH + epoch * EXAMPLES
    words = philox(seed, start + np.asarray(indices, dtype=np.uint64)).astype(np.float64)

    def below(word, count):
        return np.floor(words[:, word] / 2**32 * count).astype(np.int64).tolist()

    if augment == 'paper':
        middle = slack // 2
        places = [(0, 0), (0, slack), (slack, 0), (slack, slack), (middle, middle)]
        return [(*places[k % 5], k >= 5) for k in below(0, 10)]
    if augment == 'random':
        return list(zip(below(0, slack + 1), below(1, slack + 1), (words[:, 2] >= 2**31).tolist()))
    if augment == 'shift':
        return [(y, x, False) for y, x in zip(below(0, slack + 1), below(1, slack + 1))]
    raise ValueError(f"augment is '{augment}', expected paper, random, shift or none")
