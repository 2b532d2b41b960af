"""Trains a run of zfnet with PyTorch, on one or more machines, and writes the same run folder as zfnet.

    npx zfnet train --data pictures/ --out runs/mine --prepare                        # where zfnet is
    torchrun --nproc_per_node 8 interop/pytorch/train.py runs/mine --data pictures/   # where the GPUs are
    npx zfnet report runs/mine                                                        # where zfnet is

The recipe is read from the config.json of the run. The order of the examples, the crops and the mirroring are the same as in zfnet.
Each batch is divided among the processes, so that the losses do not depend on their number. Dropout masks are PyTorch's own.
Run the same command again to resume a run that was stopped by a signal or a crash.
"""
import argparse
import math
import resource
import signal
import sys
import time

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from checkpoint import FormatError, decode_checkpoint, encode_checkpoint
from cluster import Cluster
from data import Data
from draws import Generator, epoch_order
from images import Batches, DataError, Preprocess, TrainingCrops
from run_folder import BEST, LAST, RunFolder, epoch_file, to_json
from run_lock import RunLockedError
from safe_files import UnsafeFileError
from schedule import make_schedule
from zfnet import ZfNet, limit_filters

# Seconds between progress lines within an epoch.
PATIENCE = 10


class TrainingError(Exception):
    """Raised if a loss, weight or velocity became NaN or infinite."""


class LostError(Exception):
    """Raised for missing images, possibly on one process only."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', help='folder of the run with its config.json; training resumes from last.safetensors if that exists')
    parser.add_argument('--data', help="folder of the images, on every machine (default: the source recorded in the run)")
    parser.add_argument('--epochs', type=int, help="total number of passes over the training images (default: that of the run)")
    parser.add_argument('--lr', type=float, help="learning rate from the next step on (default: that of the run)")
    parser.add_argument('--backend', choices=['auto', 'gloo', 'nccl'], default='auto', help='backend for communication; auto: nccl if there is a GPU, otherwise gloo')
    parser.add_argument('--tf32', action='store_true', help='on GPUs, multiply with a 10-bit mantissa, which is faster and less exact')
    parser.add_argument('--workers', type=int, default=4, help='number of processes that read images, per training process (default: 4)')
    parser.add_argument('--mean-examples', type=int, help='number of images for the mean image, if the run has none yet (default: all)')
    parser.add_argument('--checkpoint-minutes', type=float, default=5, help='minutes between checkpoints within an epoch (default: 5)')
    parser.add_argument('--log', help='file for one JSON line per step: epoch, step, loss, lr')
    return parser.parse_args()


class Trainer:
    """The training loop and its state. Every process has a trainer; only the first process writes files."""

    def __init__(self, options, cluster):
        self.options, self.cluster = options, cluster
        self.folder = RunFolder(options.run)
        self.config = cluster.first(self.folder.read_config)
        cluster.first(self.folder.take_lock)
        # Reads the configuration again, because another process may have changed it before the lock was taken.
        self.config = cluster.first(self.folder.read_config)
        self.data = Data(options.data or self.config['data']['source'], self.config['data'], cluster)
        for warning in self.data.warnings:
            self.say(f'warning: {warning}')
        self.log = open(options.log, 'w') if options.log and cluster.is_first else None
        self.signal = None
        self.saved_at = time.monotonic()
        self.model = ZfNet(self.config['architecture']).to(cluster.device)
        self.begin(cluster.first(self.last_checkpoint))
        self.parallel = cluster.parallel(self.model)

    def say(self, text):
        if self.cluster.is_first:
            print(text, flush=True)

    # Initial state of training

    def last_checkpoint(self):
        """Returns weights, velocities, mean and info of the last checkpoint; None if the run has no checkpoint yet."""
        data = self.folder.read(LAST)
        if data is None:
            self.folder.check_unbegun()
            return None
        checkpoint = decode_checkpoint(data, self.folder.path(LAST))
        if 'training' not in checkpoint[3]:
            raise FormatError(f'{self.folder.path(LAST)}: contains a model but no training state to resume from')
        check_info(checkpoint[3], self.config, self.folder.path(LAST))
        return checkpoint

    def begin(self, checkpoint):
        """Sets weights, mean image and training state: those of the checkpoint, or the initial ones of zfnet."""
        config, cluster, options = self.config, self.cluster, self.options
        recorded = config['training']
        weights, velocities, mean, info = checkpoint or ({}, {}, None, {'training': fresh_state(recorded)})
        self.state = info['training']
        if checkpoint is None:
            self.say('computing the mean image and the initial weights, because the run has none yet')
            mean = self.data.mean_image(config['preprocess']['side'], cluster, options.mean_examples)
            self.model.initialize(config['init'], recorded['seed'])
        else:
            self.load_weights(weights)
            if mean is None:
                side = config['preprocess']['side']
                mean = np.zeros((config['preprocess']['channels'], side, side), np.float32)
        self.preprocess = Preprocess(config['preprocess'], mean)
        self.mean = mean
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=recorded['lr'], momentum=recorded['momentum'], weight_decay=recorded['weightDecay']
        )
        self.load_velocities(velocities)
        epochs = recorded['epochs'] if options.epochs is None else options.epochs
        self.schedule = make_schedule(self.optimizer, recorded['schedule'], epochs)
        self.schedule.lr = self.state['lr']
        if checkpoint is not None:
            self.schedule.restore(self.state['schedule'])
        self.note_changes(epochs)
        if cluster.is_first:
            self.folder.truncate_metrics(self.state['epoch'])
            self.folder.write_config(config)
            if checkpoint is None:
                self.save()

    def load_weights(self, weights):
        own = self.model.state_dict()
        wrong = [name for name in own if name not in weights or weights[name].shape != tuple(own[name].shape)]
        if wrong or len(weights) != len(own):
            raise FormatError(f'{self.folder.path(LAST)}: its weights do not fit the architecture in config.json ({", ".join(wrong[:3]) or "it contains others"})')
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})

    def load_velocities(self, velocities):
        for name, parameter in self.model.named_parameters():
            if name in velocities:
                velocity = torch.from_numpy(velocities[name]).to(self.cluster.device)
                self.optimizer.state[parameter]['momentum_buffer'] = velocity

    def note_changes(self, epochs):
        """Records changed settings in the configuration."""
        config, epoch = self.config, self.state['epoch']
        mode = 'tf32' if self.options.tf32 and self.cluster.device.type == 'cuda' else 'float32'
        changes = config.setdefault('changes', [])

        def note(option, before, now):
            if before != now:
                changes.append({'epoch': epoch, 'option': option, 'from': before, 'to': now})

        note('engine', config.get('engine'), {'backend': 'pytorch', 'mode': mode})
        config['engine'] = {'backend': 'pytorch', 'mode': mode}
        note('epochs', config['training']['epochs'], epochs)
        config['training']['epochs'] = epochs
        asked = next((change['to'] for change in reversed(changes) if change['option'] == 'lr'), config['training']['lr'])
        if self.options.lr is not None and self.options.lr != asked:
            note('lr', self.schedule.lr, self.options.lr)
            self.schedule.set_lr(self.options.lr)

    # Training loop

    def run(self):
        """Trains until all epochs are finished (returns True) or a signal arrives (returns False)."""
        epochs = self.config['training']['epochs']
        self.say(
            f'training {self.config["architecture"]["preset"]} on {self.data.root}: {len(self.data.train)} images, {epochs} epochs, '
            f'from epoch {self.state["epoch"] + 1}, step {self.state["step"] + 1}; {self.cluster.size} processes, {self.cluster.backend}'
        )
        while self.state['epoch'] < epochs:
            if not self.train_epoch() or self.must_stop():
                if self.cluster.is_first:
                    self.save()
                return False
            self.finish_epoch()
        return True

    def must_stop(self):
        """Whether any process has received a signal; the result is the same on all processes."""
        return self.cluster.sums(self.signal is not None)[0] > 0

    def batches(self, split, places, crops_of=None):
        """Yields the part of each batch of `places` that belongs to this process; worker processes read the images in advance."""
        data, cluster = self.data, self.cluster
        size = self.config['training']['batchSize']
        steps = [places[i : i + size][cluster.rank :: cluster.size] for i in range(0, len(places), size)]
        entries, labels = (data.train, data.train_labels) if split == 'train' else (data.val, data.val_labels)
        batches = Batches(data.root, entries, labels, steps, self.preprocess, crops_of)
        loader = DataLoader(batches, batch_size=None, num_workers=self.options.workers, pin_memory=cluster.device.type == 'cuda')
        for images, targets, broken, lost in loader:
            for what in broken:
                print(f'warning: left out: {what}', flush=True)
            if lost:
                raise LostError(f'{data.root}: images are missing: {", ".join(lost)}. Restore them, and run the same command again')
            yield images.to(cluster.device, non_blocking=True), targets.to(cluster.device, non_blocking=True)

    def train_epoch(self):
        """Runs the remaining steps of the current epoch. Returns False if a signal stopped it."""
        recipe, state = self.config['training'], self.state
        epoch = state['epoch'] + 1
        order = epoch_order(len(self.data.train), recipe['seed'], epoch)
        crops = TrainingCrops(recipe['augment'], self.preprocess.slack, recipe['seed'], epoch)
        self.model.train()
        before = told = time.monotonic()
        for images, labels in self.batches('train', order[state['cursor'] :], crops):
            count, stopping = self.cluster.sums(len(labels), self.signal is not None)
            if stopping:
                return False
            if count > 0:
                loss = self.step(images, labels, int(count))
            state['cursor'] = min(state['cursor'] + recipe['batchSize'], len(order))
            now = time.monotonic()
            state['sums']['seconds'] += now - before
            before = now
            if now - told > PATIENCE:
                told = now
                self.say(f'epoch {epoch}/{recipe["epochs"]}: {state["cursor"]} of {len(order)} images, loss {loss:.4f}, {self.rate():.0f} images/s')
            if self.cluster.is_first and now - self.saved_at > 60 * self.options.checkpoint_minutes:
                self.save()
        return True

    def step(self, images, labels, count):
        """Runs one training step on the batch of `count` examples of all processes. Returns their mean loss."""
        recipe, state, size = self.config['training'], self.state, self.cluster.size
        # Dropout depends only on seed, step and process, so that a resumed run uses the same masks as an uninterrupted one.
        torch.manual_seed((((recipe['seed'] << 32) + state['step']) * size + self.cluster.rank) % 2**63)
        own = len(labels)
        if own == 0:
            # The last batch may have fewer images than there are processes. This process then computes on a dummy image with weight 0.
            images, labels = images.new_zeros((1, *images.shape[1:])), labels.new_zeros(1)
        logits = self.parallel(images)
        total = F.cross_entropy(logits, labels, reduction='sum') * (1 if own else 0)
        self.optimizer.zero_grad(set_to_none=True)
        # DistributedDataParallel averages the gradients over the processes. This factor makes the result the mean over all examples.
        (total * (size / count)).backward()
        loss, errors = self.cluster.sums(total.item(), count_errors(logits.detach(), labels, 1) if own else 0)
        if not math.isfinite(loss):
            self.fail('the loss became NaN or infinite')
        self.optimizer.step()
        if recipe['maxFilterRms'] is not None:
            limit_filters(self.model, recipe['maxFilterRms'])
        state['step'] += 1
        sums = state['sums']
        sums['loss'] += loss
        sums['errors'] += int(errors)
        sums['examples'] += count
        if self.log:
            line = {'epoch': state['epoch'] + 1, 'step': state['step'], 'loss': loss / count, 'lr': self.schedule.lr}
            print(to_json(line), file=self.log, flush=True)
        return loss / count

    def rate(self):
        sums = self.state['sums']
        return sums['examples'] / sums['seconds'] if sums['seconds'] > 0 else 0

    def peak_bytes(self):
        """Returns the peak memory of this process in bytes: of tensors on the GPU, or of the whole process on a CPU."""
        device = self.cluster.device
        if device.type == 'cuda':
            return torch.cuda.max_memory_allocated(device)
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @torch.no_grad()
    def validate(self):
        """Returns the top-1 and top-5 errors on val with centre crops; None if there is no val."""
        if not self.data.val:
            return None
        self.model.eval()
        tally = torch.zeros(4, dtype=torch.float64)
        for images, labels in self.batches('val', range(len(self.data.val))):
            if len(labels) == 0:
                continue
            probabilities = self.model(images).softmax(1)
            own = probabilities.gather(1, labels[:, None]).double()
            # A probability that underflowed to 0 counts as the smallest positive number.
            loss = -own.clamp_min(5e-324).log().sum()
            tally += torch.tensor([len(labels), count_errors(probabilities, labels, 1), count_errors(probabilities, labels, 5), loss.item()])
        examples, top1, top5, loss = self.cluster.sums(*tally.tolist())
        if not math.isfinite(loss):
            self.fail('the validation loss is NaN or infinite')
        return top1 / max(examples, 1), top5 / max(examples, 1)

    def finish_epoch(self):
        """Validates, adds a line to the metrics, and writes the checkpoints."""
        state = self.state
        errors = self.validate()
        top1, top5 = errors or (None, None)
        sums = state['sums']
        metrics = {
            'epoch': state['epoch'] + 1,
            'step': state['step'],
            'lr': self.schedule.lr,
            'trainLoss': sums['loss'] / max(sums['examples'], 1),
            'trainTop1Error': sums['errors'] / max(sums['examples'], 1),
            'valTop1Error': top1,
            'valTop5Error': top5,
            'imagesPerSecond': round(self.rate(), 1),
            'peakBytes': self.peak_bytes(),
        }
        self.schedule.step(metrics['trainLoss'] if top1 is None else top1)
        error = metrics['trainTop1Error'] if top1 is None else top1
        better = state['best'] is None or error < state['best']['top1Error']
        best = {'epoch': metrics['epoch'], 'top1Error': error} if better else state['best']
        state.update(epoch=metrics['epoch'], cursor=0, sums=no_sums(), best=best)
        self.say(
            f'epoch {metrics["epoch"]}/{self.config["training"]["epochs"]}: loss {metrics["trainLoss"]:.4f}, training error {100 * metrics["trainTop1Error"]:.1f} %, '
            + (f'validation error {100 * top1:.1f} % (top-5 {100 * top5:.1f} %), ' if errors else '')
            + f'lr {metrics["lr"]:.3g}, {metrics["imagesPerSecond"]} images/s{", best so far" if better else ""}'
        )
        if self.cluster.is_first:
            # The metrics are written first: a resume removes lines after the checkpoint, but could not restore a missing line.
            data = self.checkpoint()
            self.folder.append_metrics(metrics)
            self.folder.write(epoch_file(metrics['epoch']), data)
            if better:
                self.folder.write(BEST, data)
            self.save(data)

    # Checkpoints

    def save(self, data=None):
        """Writes `last.safetensors`."""
        self.folder.write(LAST, data or self.checkpoint())
        self.saved_at = time.monotonic()

    def checkpoint(self):
        config = self.config
        weights, velocities = {}, {}
        for name, parameter in self.model.named_parameters():
            weights[name] = parameter.detach().cpu().numpy()
            velocity = self.optimizer.state[parameter].get('momentum_buffer')
            if velocity is not None:
                velocities[name] = velocity.cpu().numpy()
            if not np.isfinite(weights[name]).all():
                self.fail(f'{name} became NaN or infinite')
        info = {
            'architecture': config['architecture'],
            'init': config['init'],
            'classes': config['data']['classes'],
            'fingerprint': config['data']['fingerprint'],
            'preprocess': config['preprocess'],
            'recipe': recipe_of(config),
            'training': {**self.state, 'lr': self.schedule.lr, 'schedule': self.schedule.state()},
        }
        if not all(np.isfinite(velocity).all() for velocity in velocities.values()):
            self.fail('a velocity became NaN or infinite')
        return encode_checkpoint(weights, velocities, self.mean, info)

    def fail(self, what):
        state = self.state
        raise TrainingError(
            f'epoch {state["epoch"] + 1}, step {state["step"] + 1}: {what}. {LAST} is intact. Try a lower learning rate (it is {self.schedule.lr})'
        )


def check_info(info, config, name):
    """Raises FormatError for an invalid training state, and for one of another recipe than that of the run."""
    state = info['training']

    def expect(fits, what):
        if not fits:
            raise FormatError(f'{name}: its training state is damaged: {what}; take another checkpoint')

    def is_count(value):
        return type(value) is int and 0 <= value < 2**53

    def is_number(value):
        return type(value) in (int, float) and math.isfinite(value)

    expect(isinstance(state, dict), 'it is not an object')
    for key in ('epoch', 'step', 'cursor'):
        expect(is_count(state.get(key)), f'{key} is not a whole number of at least 0')
    examples = config['data'].get('trainExamples')
    expect(not is_count(examples) or state['cursor'] <= examples, f'cursor is {state["cursor"]}, more than the {examples} images for training')
    sums, best, schedule = state.get('sums'), state.get('best'), state.get('schedule')
    expect(isinstance(sums, dict) and all(is_number(sums.get(key)) and sums[key] >= 0 for key in no_sums()), 'sums are not numbers of at least 0')
    expect(is_number(state.get('lr')) and state['lr'] > 0, 'lr is not a number above 0')
    expect(isinstance(schedule, dict) and all(value is None or is_number(value) for value in schedule.values()), 'schedule holds other than numbers')
    fits = best is None or (isinstance(best, dict) and is_count(best.get('epoch')) and is_number(best.get('top1Error')))
    expect(fits, 'best is neither null nor an epoch with its error')
    recipe, own = info.get('recipe'), recipe_of(config)
    if recipe is not None and recipe != own:
        there = {**recipe, **recipe['training']} if isinstance(recipe, dict) and isinstance(recipe.get('training'), dict) else {}
        here = {**own, **own['training']}
        other = sorted(key for key in {**here, **there} if key != 'training' and here.get(key) != there.get(key))
        raise FormatError(
            f'{name}: was trained with another recipe than that of config.json ({", ".join(other)}); restore config.json, or begin a new run'
        )


def recipe_of(config):
    """Returns the settings that a training state depends on: see src/formats/checkpoint.ts."""
    training = {key: value for key, value in config['training'].items() if key != 'epochs'}
    return {'training': training, 'init': config['init'], **({'freeze': config['freeze']} if 'freeze' in config else {})}


def fresh_state(recipe):
    """Returns the training state before the first step, as zfnet writes it."""
    random = {stream: Generator(recipe['seed'], stream).state() for stream in ('general', 'dropout')}
    return {'epoch': 0, 'step': 0, 'cursor': 0, 'sums': no_sums(), 'best': None, 'lr': recipe['lr'], 'schedule': {}, 'random': random}


def no_sums():
    return {'loss': 0, 'errors': 0, 'examples': 0, 'seconds': 0}


def count_errors(values, labels, k):
    """Returns the number of rows of `values` [N, classes] whose label is not among the k largest. Of equal values the lower class index
    ranks first.
    """
    own = values.gather(1, labels[:, None])
    number = torch.arange(values.shape[1], device=values.device)
    before = (values > own) | ((values == own) & (number < labels[:, None]))
    missed = (before.sum(1) >= k) | values.isnan().any(1)
    return int(missed.sum())


def stop(trainer, number):
    """Stops the training after the current step; a second Ctrl-C ends the process at once."""
    trainer.signal = number
    if number == signal.SIGINT:
        signal.signal(number, signal.SIG_DFL)


def main():
    options = arguments()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.tf32
    torch.backends.cudnn.benchmark = True
    cluster, trainer = Cluster(options.backend), None
    try:
        trainer = Trainer(options, cluster)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _: stop(trainer, received))
        if not trainer.run():
            trainer.say(f'stopped at step {trainer.state["step"]}; run the same command again to resume')
            sys.exit(128 + (trainer.signal or signal.SIGTERM))
    except (FormatError, DataError, TrainingError, LostError, RunLockedError, UnsafeFileError) as error:
        if cluster.is_first or isinstance(error, LostError):
            print(f'error: {error}', file=sys.stderr)
        sys.exit(1)
    finally:
        if trainer is not None:
            trainer.folder.release_lock()
        cluster.leave()


if __name__ == '__main__':
    main()
