"""Reads and writes checkpoints of zfnet. A checkpoint is a safetensors file with the weights by name, the velocities of the optimizer under the
prefix `optimizer.velocity.`, the mean image as `mean`, and all other values as JSON in the metadata, with a checksum. The format is described
in src/formats/checkpoint.ts.

A safetensors file consists of the length of the header in eight bytes, the header in JSON, and the tensor data.
"""
import hashlib
import json
import re
import struct

import numpy as np

VERSION = '2'
VERSION_KEY = 'zfnet.checkpoint'
CHECKSUM = 'zfnet.sha256'
NO_CHECKSUM = '0' * 64
# Matches the checksum in the header.
DIGITS = re.compile(rb'"zfnet\.sha256"[ \t\r\n]*:[ \t\r\n]*"([0-9a-f]{64})"')
VELOCITY = 'optimizer.velocity.'
MEAN = 'mean'
TYPES = {'F64': np.dtype('<f8'), 'F32': np.dtype('<f4'), 'I32': np.dtype('<i4'), 'U8': np.dtype('u1')}
NAMES = {dtype: name for name, dtype in TYPES.items()}
ALIGNMENT = 8
MAX_HEADER = 100_000_000
MAX_COUNT = 2**53 - 1


class FormatError(Exception):
    """Raised for a file that is damaged or of another kind than expected."""


def encode_safetensors(tensors, metadata):
    """Returns the bytes of a safetensors file. `tensors` are numpy arrays by name, `metadata` strings by name."""
    header, parts, at = {'__metadata__': metadata}, [], 0
    # Tensors with the largest element size come first, so that every tensor is aligned to its element type.
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        array = np.ascontiguousarray(array)
        header[name] = {'dtype': NAMES[array.dtype], 'shape': list(array.shape), 'data_offsets': [at, at + array.nbytes]}
        parts.append(array.tobytes())
        at += array.nbytes
    text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
    text += b' ' * (-len(text) % ALIGNMENT)
    return b''.join([struct.pack('<Q', len(text)), text, *parts])


def decode_safetensors(data, name):
    """Returns numpy arrays by name, and the metadata. `name` is the name of the file for error messages."""
    length = struct.unpack('<Q', data[:8])[0] if len(data) >= 8 else MAX_HEADER
    if length > min(MAX_HEADER, len(data) - 8):
        raise FormatError(f'{name}: {len(data)} bytes, fewer than its header claims; it is truncated, damaged or no safetensors file')
    try:
        header = parse_json(data[8 : 8 + length].decode('utf-8'))
    except (ValueError, RecursionError) as error:
        raise FormatError(f'{name}: its header is not JSON ({error}); it is damaged') from error
    if not isinstance(header, dict):
        raise FormatError(f'{name}: its header is not a JSON object; it is damaged')
    metadata = header.pop('__metadata__', None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise FormatError(f'{name}: __metadata__ is not an object of strings; it is damaged')
    start = 8 + length
    entries = [(key, *read_entry(entry, f'{name}: tensor {json.dumps(key)}', len(data) - start)) for key, entry in header.items()]
    check_coverage(entries, len(data) - start, name)
    if CHECKSUM in metadata and checksum(data, start, name) != metadata[CHECKSUM]:
        raise FormatError(f'{name}: it differs from its checksum; the file is damaged, take another checkpoint')
    tensors = {}
    for key, dtype, shape, begin, end in entries:
        array = np.frombuffer(data, dtype, count=(end - begin) // dtype.itemsize, offset=start + begin)
        tensors[key] = array.reshape(shape).copy()
    return tensors, metadata


def parse_json(text):
    """Parses JSON strictly: repeated keys, NaN and infinities raise ValueError."""

    def unique(pairs):
        seen = {}
        for key, value in pairs:
            if key in seen:
                raise ValueError(f'the key {json.dumps(key)} appears twice')
            seen[key] = value
        return seen

    def refuse(word):
        raise ValueError(f'{word} is not JSON')

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)


def read_entry(entry, where, available):
    """Checks the header entry of a tensor and returns its dtype, shape, begin and end."""
    if not isinstance(entry, dict):
        raise FormatError(f'{where}: its entry is not an object; the file is damaged')
    dtype, shape, offsets = entry.get('dtype'), entry.get('shape'), entry.get('data_offsets')
    if not isinstance(dtype, str) or dtype not in TYPES:
        raise FormatError(f'{where}: type {json.dumps(dtype)} is not read here, expected one of {", ".join(TYPES)}')
    if not is_counts(shape):
        raise FormatError(f'{where}: shape {json.dumps(shape)} is not a list of whole numbers; the file is damaged')
    if not is_counts(offsets) or len(offsets) != 2:
        raise FormatError(f'{where}: data_offsets {json.dumps(offsets)} are not two whole numbers; the file is damaged')
    begin, end = offsets
    if begin > end or end > available:
        raise FormatError(f'{where}: bytes {begin} to {end} lie outside the {available} bytes of data; the file is truncated or damaged')
    expected = TYPES[dtype].itemsize
    for extent in shape:
        expected *= extent
    if end - begin != expected:
        raise FormatError(f'{where}: {end - begin} bytes, but {dtype} numbers of shape {shape} take {expected}; the file is damaged')
    return TYPES[dtype], shape, begin, end


def is_counts(value):
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= MAX_COUNT for n in value)


def check_coverage(entries, available, name):
    """Raises FormatError unless the tensors are contiguous and cover the data completely."""
    at = 0
    for key, _, _, begin, end in sorted(entries, key=lambda entry: entry[3:]):
        if begin != at:
            raise FormatError(f'{name}: tensor {json.dumps(key)} starts at byte {begin}, expected {at}, where the one before ends; it is damaged')
        at = end
    if at != available:
        raise FormatError(f'{name}: its tensors end at byte {at}, its data at {available}; it is damaged')


def checksum(data, start, name):
    """Returns the SHA-256 of the file with the digits of its checksum, which must occur exactly once in the header, replaced by zeros."""
    found = list(DIGITS.finditer(data, 8, start))
    if len(found) != 1:
        raise FormatError(f'{name}: its header holds {len(found)} checksums, expected one; it is damaged')
    begin, end = found[0].span(1)
    digest = hashlib.sha256(data[:begin])
    digest.update(NO_CHECKSUM.encode())
    digest.update(memoryview(data)[end:])
    return digest.hexdigest()


def encode_checkpoint(weights, velocities, mean, info):
    """Returns the bytes of a checkpoint. `weights` and `velocities` are float32 arrays by parameter name, `info` JSON values by key."""
    tensors = {**weights, **{VELOCITY + name: velocity for name, velocity in velocities.items()}, MEAN: mean}
    texts = {key: json.dumps(value, ensure_ascii=False, allow_nan=False) for key, value in info.items()}
    data = encode_safetensors(tensors, {VERSION_KEY: VERSION, **texts, CHECKSUM: NO_CHECKSUM})
    start = 8 + struct.unpack('<Q', data[:8])[0]
    begin, end = DIGITS.search(data, 8, start).span(1)
    return data[:begin] + hashlib.sha256(data).hexdigest().encode() + data[end:]


def decode_checkpoint(data, name):
    """Decodes a checkpoint and returns its weights, velocities, mean (or None) and info."""
    tensors, metadata = decode_safetensors(data, name)
    version = metadata.pop(VERSION_KEY, None)
    if version is None:
        raise FormatError(f"{name}: a safetensors file, but no checkpoint of zfnet: its metadata has no '{VERSION_KEY}'")
    if version not in ('1', VERSION):
        raise FormatError(f'{name}: a checkpoint of version {json.dumps(version)}, this script reads versions 1 and {VERSION}; update interop/pytorch')
    if metadata.pop(CHECKSUM, None) is None and version != '1':
        raise FormatError(f"{name}: its metadata lacks the checksum '{CHECKSUM}'; the file is damaged, take another checkpoint")
    for key, array in tensors.items():
        if not np.isfinite(array).all():
            raise FormatError(f'{name}: tensor {json.dumps(key)} holds a NaN or an infinity, expected finite numbers; take another checkpoint')
    mean = tensors.pop(MEAN, None)
    velocities = {key[len(VELOCITY) :]: value for key, value in tensors.items() if key.startswith(VELOCITY)}
    weights = {key: value for key, value in tensors.items() if not key.startswith(VELOCITY)}
    try:
        info = {key: parse_json(text) for key, text in metadata.items()}
    except (ValueError, RecursionError) as error:
        raise FormatError(f'{name}: its metadata is not JSON ({error})') from error
    return weights, velocities, mean, info
