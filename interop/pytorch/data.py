"""Opens the images of a run on all processes: the first one lists them, each checks a share, all end with the same lists."""
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from draws import sample_places
from images import UNREADABLE, VERIFY_ALL_BELOW, DataError, fault, fingerprint, hold_out, in_utf16_order, list_images, read_square

# Files that a process reads at once while it checks or averages.
AT_ONCE = 8
# Images that lie decoded in memory while the mean is summed.
READ_AHEAD = 64
NAMED = 5


class Data:
    """`train` and `val`: entries in the order of `zfnet`, with their labels. `warnings` say what was left out or is not as recorded."""

    def __init__(self, root, record, cluster):
        self.root, self.warnings = root, []
        if ':' in root.split('/')[0] or root in ('mnist', 'scenes'):
            raise DataError(f"the run's data are '{root}': this script reads folders of images; give one by --data FOLDER")
        train, val = cluster.first(lambda: list_images(root))
        train, val = (self.readable(entries, cluster) for entries in (train, val))
        if not train:
            raise DataError(f'{root}: no image in it can be read')
        if not val:
            train, val = hold_out(train, record.get('valFraction', 0.1))
        self.train, self.val = train, val
        self.check(record, cluster)
        places = {name: place for place, name in enumerate(record['classes'])}
        self.train_labels = [places[entry.label_name] for entry in train]
        self.val_labels = [places[entry.label_name] for entry in val]

    def readable(self, entries, cluster):
        """The entries that can be read; the others are named."""
        whole = len(entries) <= VERIFY_ALL_BELOW
        own = range(cluster.rank, len(entries), cluster.size)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            faults = zip(own, pool.map(lambda place: fault(self.root, entries[place], whole), own))
            broken = {place: what for place, what in faults if what is not None}
        broken = {place: what for part in cluster.gather(broken) for place, what in part.items()}
        named = [f'{entries[place].path} ({what})' for place, what in sorted(broken.items())]
        if named:
            self.warnings.append(f'{len(named)} images cannot be read and are left out: {", ".join(named[:NAMED])}{", …" if len(named) > NAMED else ""}')
        return [entry for place, entry in enumerate(entries) if place not in broken]

    def check(self, record, cluster):
        """Throws unless these are the run's classes and as many images; warns where the files are others."""
        classes = in_utf16_order({entry.label_name for entry in self.train})
        if classes != record['classes']:
            gone = [name for name in record['classes'] if name not in classes]
            new = [name for name in classes if name not in record['classes']]
            raise DataError(
                f'{self.root}: {len(classes)} classes, the run has {len(record["classes"])}{listed("missing", gone)}{listed("new", new)}; give the folder that the run was made for'
            )
        strangers = {entry.label_name for entry in self.val} - set(classes)
        if strangers:
            raise DataError(f'{self.root}: val has classes that train lacks{listed("namely", sorted(strangers))}')
        counts = (len(self.train), len(self.val))
        recorded = (record['trainExamples'], record['valExamples'])
        if counts != recorded:
            raise DataError(
                f'{self.root}: {counts[0]} images for training and {counts[1]} for validation, the run has {recorded[0]} and {recorded[1]}; give the folder that the run was made for'
            )
        now = cluster.first(lambda: fingerprint(self.root, self.train, self.val))
        if now != record['fingerprint']:
            self.warnings.append(
                f'{self.root}: as many images of the same classes, but other files than the run was made for (fingerprint {now}, recorded {record["fingerprint"]}); `zfnet train --resume` will want those'
            )

    def mean_image(self, side, cluster, examples=None):
        """The mean of each pixel over the training images, or `examples` of them, sampled at random: float32 [3, side, side]."""
        total = min(examples or len(self.train), len(self.train))
        own = sample_places(len(self.train), total)[cluster.rank :: cluster.size]
        sums, counted = np.zeros((side, side, 3)), 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(own), READ_AHEAD):
                for pixels in pool.map(lambda place: self.square(place, side), own[start : start + READ_AHEAD]):
                    if pixels is not None:
                        sums += pixels
                        counted += 1
        # Sums of whole numbers: the same bits however they are shared out.
        parts = cluster.gather((sums, counted))
        counted = sum(count for _, count in parts)
        if counted == 0:
            raise DataError(f'{self.root}: none of {total} images can be read: there is nothing to take the mean of')
        mean = sum(part for part, _ in parts) / counted
        return np.ascontiguousarray(mean.transpose(2, 0, 1), dtype=np.float32)

    def square(self, place, side):
        try:
            return read_square(os.path.join(self.root, self.train[place].path), side)
        except UNREADABLE:
            return None


def listed(word, names):
    return f', {word}: {" ".join(names[:NAMED])}{" …" if len(names) > NAMED else ""}' if names else ''
