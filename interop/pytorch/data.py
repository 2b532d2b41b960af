"""Opens the images of a run on all processes: the first process lists the files, each process checks a part, and all get the same lists."""
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from draws import sample_places
from images import UNREADABLE, VERIFY_ALL_BELOW, DataError, fault, fingerprint, hold_out, in_utf16_order, list_images, read_square

# Number of files that a process reads in parallel while it checks them or computes the mean image.
AT_ONCE = 8
# Largest number of decoded images in memory during the computation of the mean image.
READ_AHEAD = 64
NAMED = 5


class Data:
    """The splits `train` and `val`: entries in the order of `zfnet`, with labels. `warnings` list images left out and differences from the
    record.
    """

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
        """Returns the entries that can be read, and adds a warning that names the others."""
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
        """Raises DataError unless classes and numbers of images are those of the run; adds a warning if the files differ."""
        classes = in_utf16_order({entry.label_name for entry in self.train})
        if classes != record['classes']:
            gone = [name for name in record['classes'] if name not in classes]
            new = [name for name in classes if name not in record['classes']]
            raise DataError(
                f'{self.root}: {len(classes)} classes, the run has {len(record["classes"])}{listed("missing", gone)}{listed("new", new)}; give the folder that the run was prepared with'
            )
        unknown = {entry.label_name for entry in self.val} - set(classes)
        if unknown:
            raise DataError(f'{self.root}: val has classes that train lacks{listed("namely", sorted(unknown))}')
        counts = (len(self.train), len(self.val))
        recorded = (record['trainExamples'], record['valExamples'])
        if counts != recorded:
            raise DataError(
                f'{self.root}: {counts[0]} images for training and {counts[1]} for validation, the run has {recorded[0]} and {recorded[1]}; give the folder that the run was made for'
            )
        now = cluster.first(lambda: fingerprint(self.root, self.train, self.val))
        if now != record['fingerprint']:
            self.warnings.append(
                f'{self.root}: the classes and numbers of images are those of the run, but the files differ (fingerprint {now}, recorded {record["fingerprint"]}); `zfnet train --resume` will need the recorded files'
            )

    def mean_image(self, side, cluster, examples=None):
        """Returns the mean image, float32 [3, side, side], over all training images or over `examples` of them, sampled at random."""
        total = min(examples or len(self.train), len(self.train))
        own = sample_places(len(self.train), total)[cluster.rank :: cluster.size]
        sums, counted = np.zeros((side, side, 3)), 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(own), READ_AHEAD):
                for pixels in pool.map(lambda place: self.square(place, side), own[start : start + READ_AHEAD]):
                    if pixels is not None:
                        sums += pixels
                        counted += 1
        # The sums are integers, so the result has the same bits for any number of processes.
        parts = cluster.gather((sums, counted))
        counted = sum(count for _, count in parts)
        if counted == 0:
            raise DataError(f'{self.root}: none of {total} images can be read, so there is no mean image')
        mean = sum(part for part, _ in parts) / counted
        return np.ascontiguousarray(mean.transpose(2, 0, 1), dtype=np.float32)

    def square(self, place, side):
        try:
            return read_square(os.path.join(self.root, self.train[place].path), side)
        except UNREADABLE:
            return None


def listed(word, names):
    return f', {word}: {" ".join(names[:NAMED])}{" …" if len(names) > NAMED else ""}' if names else ''
