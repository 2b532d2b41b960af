"""Reads a folder of images with one sub-folder per class, in the same order and with the same splits, classes and fingerprint as `zfnet`
(src/data/sources/folder.ts), and preprocesses the images for the network (src/zfnet/input/preprocess.ts).
"""
import math
import os
import re
from collections import namedtuple

import numpy as np
from PIL import Image, ImageOps
from torch.utils.data import Dataset

from draws import centre_crop, draw_crops

IMAGE = re.compile(r'\.(jpe?g|png|webp|gif|tiff?|avif)$', re.IGNORECASE)
# Up to this number of images, every image is decoded when the folder is opened; of larger sets only the headers are read.
VERIFY_ALL_BELOW = 5_000
# The fingerprint includes the first and last PIECE bytes of this number of files.
SAMPLED_FILES = 1000
PIECE = 1024
# Exceptions that Pillow raises for damaged files and for files that are not images.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

# `path` is relative to the folder, with forward slashes; `bytes` is the file's length.
Entry = namedtuple('Entry', 'path bytes label_name')


class DataError(Exception):
    """Raised for images that are missing or are not those of the run."""


def in_utf16_order(names):
    """Sorts names by UTF-16 code units, as JavaScript does."""
    return sorted(names, key=lambda name: name.encode('utf-16-be', 'surrogatepass'))


def list_images(folder):
    """Returns the entries of `train` and of `val` (empty if there is none), ordered by class, without opening the images."""
    names = visible(folder, folder)
    if not is_folder(folder, 'train', names):
        return list_classes(folder, ''), []
    return list_classes(folder, 'train'), list_classes(folder, 'val') if is_folder(folder, 'val', names) else []


def list_classes(root, prefix):
    folder = os.path.join(root, prefix) if prefix else root
    entries = []
    for name in visible(folder, root):
        if os.path.isdir(os.path.join(folder, name)):
            walk(root, f'{prefix}/{name}' if prefix else name, name, entries, ())
    return entries


def walk(root, path, class_name, entries, above):
    """Adds the images of a folder, then those of its sub-folders. `above` contains the real paths of the parents, to detect cycles of
    links.
    """
    folder = os.path.join(root, path)
    real = os.path.realpath(folder)
    if real in above:
        return
    names = visible(folder, root)
    folders = [name for name in names if os.path.isdir(os.path.join(folder, name))]
    for name in names:
        if name not in folders and IMAGE.search(name):
            file = os.path.join(folder, name)
            entries.append(Entry(f'{path}/{name}', os.path.getsize(file) if os.path.exists(file) else 0, class_name))
    for name in folders:
        walk(root, f'{path}/{name}', class_name, entries, (*above, real))


def visible(folder, root):
    try:
        return in_utf16_order(name for name in os.listdir(folder) if not name.startswith('.'))
    except OSError as error:
        raise DataError(f'{root}: cannot be opened as a folder of images: {error.strerror}; expected a folder that contains one folder per class') from error


def is_folder(folder, name, names):
    return name in names and os.path.isdir(os.path.join(folder, name))


def fault(root, entry, whole):
    """Returns the reason why an image file cannot be read, or None. `whole`: decode the image instead of reading only its header."""
    try:
        with Image.open(os.path.join(root, entry.path)) as image:
            if whole:
                image.load()
    except UNREADABLE as error:
        return str(error)
    return None


def hold_out(entries, fraction):
    """Divides entries into train and val, if the source has no val: the fraction `fraction` of every class, chosen by a hash of the path,
    is val.
    """
    by_class = {}
    for entry in entries:
        by_class.setdefault(entry.label_name, []).append(entry)
    held = set()
    for members in by_class.values():
        if len(members) < 2:
            continue
        order = sorted(members, key=lambda entry: (Hash().add(entry.path).word(), entry.path.encode('utf-16-be', 'surrogatepass')))
        count = min(len(members) - 1, max(1, math.floor(len(members) * fraction + 0.5)))
        held.update(order[:count])
    return [e for e in entries if e not in held], [e for e in entries if e in held]


class Hash:
    """A hash of two FNV-1a lanes and the finaliser of MurmurHash3, as in src/data/files/hash.ts."""

    def __init__(self):
        self.a, self.b = 0x811C9DC5, 0x2F0B4A27

    def add(self, part):
        a, b = self.a, self.b
        for byte in part if isinstance(part, bytes) else f'{part}\0'.encode('utf-8', 'replace'):
            a = (a ^ byte) * 0x01000193 & 0xFFFFFFFF
            b = (b ^ byte) * 0x01000197 + 1 & 0xFFFFFFFF
        self.a, self.b = a, b
        return self

    def word(self):
        return mix(self.a ^ self.b * 0x9E3779B1 & 0xFFFFFFFF)

    def hex(self):
        return f'{self.word():08x}{mix(self.b ^ self.a * 0x85EBCA77 & 0xFFFFFFFF):08x}'


def mix(h):
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


def fingerprint(root, train, val):
    """Returns the fingerprint in `config.json`: 16 hexadecimal digits of the paths and lengths of all files and parts of some contents."""
    digest = Hash().add('folder')
    for name, entries in (('train', train), ('val', val)):
        digest.add(name)
        for entry in entries:
            digest.add(entry.path).add(entry.bytes)
    entries = [*train, *val]
    count = min(SAMPLED_FILES, len(entries))
    for i in range(count):
        add_sample(digest, root, entries[i * len(entries) // count])
    return digest.hex()


def add_sample(digest, root, entry):
    """Adds the first and the last KiB of a file, or a whole short file, to a hash, as src/data/files/file_bytes.ts does."""
    pieces = [(0, entry.bytes)] if entry.bytes <= 2 * PIECE else [(0, PIECE), (entry.bytes - PIECE, PIECE)]
    try:
        with open(os.path.join(root, entry.path), 'rb') as file:
            for start, length in pieces:
                file.seek(start)
                digest.add(file.read(length))
    except OSError:
        pass  # Reading the image later reports the error.


def read_square(file, side):
    """Returns an image as pixels uint8 [side, side, 3]: rotated by its EXIF orientation, on white, the shorter side resized to `side`, centre crop.

    An image of this size is used unchanged; others are resized by Pillow, whose pixels may differ slightly from those of sharp.
    """
    with Image.open(file) as image:
        # Decodes a large JPEG at reduced size, which must be at least twice the target size.
        image.draft('RGB', (2 * side, 2 * side))
        image = ImageOps.exif_transpose(image)
        if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
            image = image.convert('RGBA')
            image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
        image = image.convert('RGB')
        if image.size != (side, side):
            image = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
        return np.asarray(image)


class Preprocess:
    """Subtracts the mean image, cuts out a crop and scales it; the result has the same bits as that of src/zfnet/input/preprocess.ts."""

    def __init__(self, options, mean):
        side, channels = options['side'], options['channels']
        expected = (channels, side, side)
        if mean.shape != expected:
            raise DataError(f'the mean image has shape {list(mean.shape)}, expected {list(expected)}')
        self.mean = mean.transpose(1, 2, 0).astype(np.float64)
        self.size, self.slack, self.scale = options['inputSize'], side - options['inputSize'], options['scale']

    def crop(self, pixels, place):
        """Returns the crop at `place` = (y, x, flip) as float32 [3, size, size]. `pixels` is uint8 [side, side, 3]."""
        y, x, flip = place
        window = np.s_[y : y + self.size, x : x + self.size]
        cut = (pixels[window] - self.mean[window]) * self.scale
        if flip:
            cut = cut[:, ::-1]
        return np.ascontiguousarray(cut.transpose(2, 0, 1), dtype=np.float32)


class Batches(Dataset):
    """The part of each batch that one process reads: item i is (images float32 [n, 3, size, size], labels int64 [n], broken, lost).

    `crops_of(places)` returns the crop of each image; without it, centre crops are used. Images that cannot be read are left out and listed
    in `broken`; missing files are listed in `lost`.
    """

    def __init__(self, root, entries, labels, steps, preprocess, crops_of=None):
        self.root, self.entries, self.labels, self.steps = root, entries, labels, steps
        self.preprocess, self.crops_of = preprocess, crops_of

    def __len__(self):
        return len(self.steps)

    def __getitem__(self, step):
        places = self.steps[step]
        size, side = self.preprocess.size, self.preprocess.size + self.preprocess.slack
        crops = self.crops_of(places) if self.crops_of else [centre_crop(side - size)] * len(places)
        images, labels, broken, lost = [], [], [], []
        for place, crop in zip(places, crops):
            path = self.entries[place].path
            try:
                pixels = read_square(os.path.join(self.root, path), side)
            except FileNotFoundError:
                lost.append(path)
                continue
            except UNREADABLE as error:
                broken.append(f'{path}: {error}')
                continue
            images.append(self.preprocess.crop(pixels, crop))
            labels.append(self.labels[place])
        stacked = np.stack(images) if images else np.empty((0, 3, size, size), np.float32)
        return stacked, np.asarray(labels, np.int64), broken, lost


class TrainingCrops:
    """The random crops of an epoch. A class instead of a closure, because it is pickled for the worker processes."""

    def __init__(self, augment, slack, seed, epoch):
        self.arguments = (augment, slack, seed, epoch)

    def __call__(self, places):
        return draw_crops(*self.arguments, places)
