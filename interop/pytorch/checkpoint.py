"""Checkpoints of zfnet: a safetensors file with the weights by name, the optimizer's velocities behind `optimizer.velocity.`,
the mean image as `mean`, and everything else as JSON in the metadata. The same as src/formats/checkpoint.ts.

The format is a header's length in eight bytes, the header in JSON, and the numbers: what is needed of it stands here.
"""
import json
import struct

import numpy as np

VERSION = '1'
VELOCITY = 'optimizer.velocity.'
MEAN = 'mean'
TYPES = {'F64': np.dtype('<f8'), 'F32': np.dtype('<f4'), 'I32': np.dtype('<i4'), 'U8': np.dtype('u1')}
NAMES = {dtype: name for name, dtype in TYPES.items()}
ALIGNMENT = 8


class FormatError(Exception):
    """A file that is damaged, or another than was expected."""


def encode_safetensors(tensors, metadata):
    """The bytes of a safetensors file with numpy arrays by name, and strings by name."""
    header, parts, at = {'__metadata__': metadata}, [], 0
    # Widest numbers first, so that every tensor is aligned to its own type.
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        array = np.ascontiguousarray(array)
        header[name] = {'dtype': NAMES[array.dtype], 'shape': list(array.shape), 'data_offsets': [at, at + array.nbytes]}
        parts.append(array.tobytes())
        at += array.nbytes
    text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
    text += b' ' * (-len(text) % ALIGNMENT)
    return b''.join([struct.pack('<Q', len(text)), text, *parts])


def decode_safetensors(data, name):
    """Numpy arrays by name, and the metadata. `name` is what errors call the file."""
    length = struct.unpack('<Q', data[:8])[0] if len(data) >= 8 else len(data)
    if length > len(data) - 8:
        raise FormatError(f'{name}: {len(data)} bytes, fewer than its header claims; it is truncated or no safetensors file')
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop('__metadata__', {})
        tensors = {key: decode_tensor(entry, data, 8 + length) for key, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f'{name}: its header or its numbers cannot be read ({error}); it is damaged') from error
    return tensors, metadata


def decode_tensor(entry, data, start):
    begin, end = entry['data_offsets']
    array = np.frombuffer(data, TYPES[entry['dtype']], count=int(np.prod(entry['shape'], dtype=np.int64)), offset=start + begin)
    if array.nbytes != end - begin:
        raise ValueError(f'{end - begin} bytes for the shape {entry["shape"]}')
    return array.reshape(entry['shape']).copy()


def encode_checkpoint(weights, velocities, mean, info):
    """The bytes of a checkpoint. `weights` and `velocities` are float32 arrays by parameter name, `info` JSON values by key."""
    tensors = {**weights, **{VELOCITY + name: velocity for name, velocity in velocities.items()}, MEAN: mean}
    texts = {key: json.dumps(value, ensure_ascii=False, allow_nan=False) for key, value in info.items()}
    return encode_safetensors(tensors, {'zfnet.checkpoint': VERSION, **texts})


def decode_checkpoint(data, name):
    """weights, velocities, mean (or None) and info of a checkpoint's bytes."""
    tensors, metadata = decode_safetensors(data, name)
    if metadata.pop('zfnet.checkpoint', None) != VERSION:
        raise FormatError(f"{name}: no checkpoint of zfnet of version {VERSION}: see 'zfnet.checkpoint' in its metadata")
    mean = tensors.pop(MEAN, None)
    velocities = {key[len(VELOCITY) :]: value for key, value in tensors.items() if key.startswith(VELOCITY)}
    weights = {key: value for key, value in tensors.items() if not key.startswith(VELOCITY)}
    try:
        info = {key: json.loads(text) for key, text in metadata.items()}
    except ValueError as error:
        raise FormatError(f'{name}: its metadata is not JSON ({error})') from error
    return weights, velocities, mean, info
