"""Tries inputs and operations that must be refused, and prints a JSON object with the outcome of each: `python strict.py FOLDER`.

FOLDER contains checkpoints `*.safetensors` to decode, and a folder `outside` that must stay unchanged.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..'))

from checkpoint import FormatError, decode_checkpoint, encode_checkpoint
from run_folder import RunFolder
from safe_files import UnsafeFileError


def outcome(job):
    try:
        job()
        return 'ok'
    except (FormatError, UnsafeFileError) as error:
        return str(error)


def flips(data):
    """Flips one bit in each byte of a checkpoint in turn; returns how many changed files are accepted."""
    passed = 0
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        passed += outcome(lambda: decode_checkpoint(bytes(changed), 'changed')) == 'ok'
    return passed


def links(folder):
    run, outside = os.path.join(folder, 'run'), os.path.join(folder, 'outside')
    os.makedirs(run)
    store = RunFolder(run)
    store.take_lock()
    target = os.path.join(outside, 'file')
    for name in ('last.safetensors', 'last.safetensors.part', 'metrics.jsonl'):
        os.symlink(target, store.path(name))
    os.symlink(outside, store.path('checkpoints'))
    os.mkfifo(store.path('fifo'))
    found = {
        'write over a link': outcome(lambda: store.write('last.safetensors', b'weights')),
        'append to a link': outcome(lambda: store.append_metrics({'epoch': 1})),
        'write into a linked folder': outcome(lambda: store.write('checkpoints/epoch-0001.safetensors', b'x')),
        'read a FIFO': outcome(lambda: store.read('fifo')),
        'read of what was written': str(store.read('last.safetensors')),
    }
    store.release_lock()
    found['left'] = ' '.join(sorted(os.listdir(run)))
    return found


def main():
    folder = sys.argv[1]
    results = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith('.safetensors'):
            with open(os.path.join(folder, name), 'rb') as file:
                data = file.read()
            results[name] = outcome(lambda: decode_checkpoint(data, name))
            if name == 'whole.safetensors':
                results['changed bytes that pass'] = flips(data)
                again = encode_checkpoint(*decode_checkpoint(data, name))
                with open(os.path.join(folder, 'again'), 'wb') as file:
                    file.write(again)
    print(json.dumps({**results, **links(folder)}))


main()
