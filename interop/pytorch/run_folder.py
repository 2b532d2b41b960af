"""Reads and writes the files of a run: `config.json`, `metrics.jsonl` and the checkpoints. Every write is atomic, so that a crash leaves
each file intact.
"""
import json
import os

from checkpoint import FormatError, parse_json
from run_lock import RunLock
from safe_files import TEMPORARY, append_to_file, folder_below, read_regular, remove, replace_file

VERSION = 1
PARTS = ('architecture', 'init', 'data', 'preprocess', 'training')
CONFIG = 'config.json'
METRICS = 'metrics.jsonl'
LAST = 'last.safetensors'
BEST = 'best.safetensors'


def epoch_file(epoch):
    return f'checkpoints/epoch-{epoch:04d}.safetensors'


# Options of training that only zfnet itself supports. They are absent unless they were given.
UNSUPPORTED = ('optimizer', 'warmup', 'clipGradNorm', 'labelSmoothing', 'classWeights')


class RunFolder:
    """The folder of a run, with its lock."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = None

    def take_lock(self):
        """Takes the lock of the run, so that no other process writes it; raises RunLockedError if another process holds the lock."""
        if self.lock is None:
            self.lock = RunLock(self.folder)
            self.remove_leftovers()

    def remove_leftovers(self):
        """Removes the temporary files of a killed process. Does not follow symbolic links to folders."""
        for folder, _, files in os.walk(self.folder):
            for file in files:
                if file.endswith(TEMPORARY):
                    remove(os.path.join(folder, file))

    def release_lock(self):
        if self.lock is not None:
            self.lock.release()

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        """Returns the bytes of a file, or None if there is none."""
        try:
            return read_regular(self.path(name))
        except FileNotFoundError:
            return None

    def place(self, name):
        """Checks that this process still holds the lock, and returns the path of a file to write."""
        if self.lock is None:
            raise AssertionError('take_lock must be called before the first write')
        self.lock.check()
        return os.path.join(folder_below(self.folder, name), name.split('/')[-1])

    def write(self, name, data):
        replace_file(self.place(name), data)

    def check_unbegun(self):
        """Raises FormatError if the run has finished epochs, so that a run whose last checkpoint is missing is not started anew over them.
        """
        lines = (self.read(METRICS) or b'').split(b'\n')
        names = sorted(os.listdir(self.path('checkpoints'))) if os.path.isdir(self.path('checkpoints')) else []
        kept = [name for name in names if name.endswith('.safetensors')]
        if kept or any(epoch_of(line) > 0 for line in lines):
            newest = f'checkpoints/{kept[-1]}' if kept else BEST
            raise FormatError(
                f'{self.folder}: {LAST} is missing, though epochs are recorded; resume from the newest checkpoint by copying {newest} to {LAST}, or begin a new run'
            )

    def read_config(self):
        """Reads and checks `config.json`."""
        data = self.read(CONFIG)
        if data is None:
            raise FormatError(
                f'{self.folder} is not a run: it contains no {CONFIG}. Create one with: npx zfnet train --data FOLDER --out {self.folder} --prepare'
            )
        try:
            config = parse_json(data.decode('utf-8'))
        except (ValueError, RecursionError) as error:
            raise FormatError(f'{self.path(CONFIG)}: not JSON ({error})') from error
        if not isinstance(config, dict):
            raise FormatError(f'{self.path(CONFIG)}: not a JSON object')
        if config.get('version') != VERSION:
            raise FormatError(f'{self.path(CONFIG)}: version is {config.get("version")}, expected {VERSION}')
        missing = [part for part in PARTS if part not in config]
        if missing:
            raise FormatError(f'{self.path(CONFIG)}: {", ".join(missing)} is missing; this script does not train imported networks')
        unknown = [name for name in UNSUPPORTED if name in config['training']]
        if unknown:
            raise FormatError(f'{self.folder}: its recipe has {", ".join(unknown)}, which this script does not support; train it with zfnet')
        if 'freeze' in config:
            raise FormatError(f'{self.folder}: the layers {config["freeze"]} are frozen, which this script does not support; train it with zfnet')
        return config

    def write_config(self, config):
        self.write(CONFIG, f'{json.dumps(config, indent=2, ensure_ascii=False)}\n'.encode())

    def append_metrics(self, line):
        append_to_file(self.place(METRICS), f'{to_json(line)}\n'.encode())

    def truncate_metrics(self, epoch):
        """Removes the lines of epochs after `epoch`, from which training resumes, and incomplete lines."""
        before = self.read(METRICS)
        kept = b''.join(line + b'\n' for line in (before or b'').split(b'\n') if 1 <= epoch_of(line) <= epoch)
        if before is not None and kept != before:
            self.write(METRICS, kept)


def epoch_of(line):
    try:
        return json.loads(line)['epoch']
    except (ValueError, KeyError, TypeError):
        return 0


def to_json(value):
    return json.dumps(value, separators=(',', ':'), ensure_ascii=False, allow_nan=False)
