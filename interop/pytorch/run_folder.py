"""The files of a run: `config.json`, `metrics.jsonl` and the checkpoints, written so that a crash leaves each of them whole."""
import json
import os

from checkpoint import FormatError

VERSION = 1
PARTS = ('architecture', 'init', 'data', 'preprocess', 'training')
CONFIG = 'config.json'
METRICS = 'metrics.jsonl'
LAST = 'last.safetensors'
BEST = 'best.safetensors'


def epoch_file(epoch):
    return f'checkpoints/epoch-{epoch:04d}.safetensors'


class RunFolder:
    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        """The bytes of a file, or None where there is none."""
        try:
            with open(self.path(name), 'rb') as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, name, data):
        """Under another name first, pushed to the disk, and only then renamed."""
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        put(f'{target}.part', 'wb', data)
        os.replace(f'{target}.part', target)

    def read_config(self):
        """The run's configuration as it stands there."""
        data = self.read(CONFIG)
        if data is None:
            raise FormatError(
                f'{self.folder} is no run: there is no {CONFIG} in it. Make one with: npx zfnet train --data FOLDER --out {self.folder} --prepare'
            )
        try:
            config = json.loads(data)
        except ValueError as error:
            raise FormatError(f'{self.path(CONFIG)}: not JSON ({error})') from error
        if config.get('version') != VERSION:
            raise FormatError(f'{self.path(CONFIG)}: version is {config.get("version")}, expected {VERSION}')
        missing = [part for part in PARTS if part not in config]
        if missing:
            raise FormatError(f'{self.path(CONFIG)}: {", ".join(missing)} is missing; networks imported from elsewhere are not trained here')
        if 'freeze' in config:
            raise FormatError(f'{self.folder}: the layers {config["freeze"]} are frozen, which this script does not know; train it with zfnet')
        return config

    def write_config(self, config):
        self.write(CONFIG, f'{json.dumps(config, indent=2, ensure_ascii=False)}\n'.encode())

    def append_metrics(self, line):
        put(self.path(METRICS), 'ab', f'{to_json(line)}\n'.encode())

    def truncate_metrics(self, epoch):
        """Drops what was written beyond an epoch that training goes on from, and a line that was cut off."""
        before = self.read(METRICS)
        kept = b''.join(line + b'\n' for line in (before or b'').split(b'\n') if 1 <= epoch_of(line) <= epoch)
        if before is not None and kept != before:
            self.write(METRICS, kept)


def put(path, mode, data):
    with open(path, mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def epoch_of(line):
    try:
        return json.loads(line)['epoch']
    except (ValueError, KeyError, TypeError):
        return 0


def to_json(value):
    return json.dumps(value, separators=(',', ':'), ensure_ascii=False, allow_nan=False)
