"""Learning rate schedules, equal to those of src/nn/optim, with the same state in checkpoints.

PyTorch's own schedules are not used: they count epochs differently and save another state, which zfnet could not resume from.
"""
import math


class Schedule:
    """Base class of schedules, which change the learning rate of `optimizer` once per epoch. Used itself for `constant`: no change."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    @property
    def lr(self):
        return self.optimizer.param_groups[0]['lr']

    @lr.setter
    def lr(self, value):
        for group in self.optimizer.param_groups:
            group['lr'] = value

    def step(self, measure):
        """Call once per epoch, with the error or loss that should decrease."""

    def set_lr(self, lr):
        """Sets the learning rate manually."""
        self.lr = lr

    def state(self):
        return {}

    def restore(self, state):
        """Restores the state of a checkpoint. Call it after the learning rate was restored."""


class Step(Schedule):
    """Multiplies the rate by `factor` every `every` epochs."""

    def __init__(self, optimizer, factor, every):
        super().__init__(optimizer)
        self.factor, self.every, self.epoch = factor, every, 0

    def step(self, measure):
        self.epoch += 1
        if self.epoch % self.every == 0:
            self.lr *= self.factor

    def state(self):
        return {'epoch': self.epoch}

    def restore(self, state):
        self.epoch = state['epoch']


class Cosine(Schedule):
    """Decreases the rate from its initial value towards 0 along half a cosine over all epochs."""

    def __init__(self, optimizer, epochs):
        super().__init__(optimizer)
        self.epochs, self.epoch, self.first = epochs, 0, self.lr

    def step(self, measure):
        self.epoch = min(self.epoch + 1, self.epochs)
        self.lr = self.first * self.share()

    def set_lr(self, lr):
        self.first = lr / max(self.share(), 2**-52)
        self.lr = self.first * self.share()

    def state(self):
        return {'epoch': self.epoch, 'first': self.first}

    def restore(self, state):
        self.epoch, self.first = state['epoch'], state['first']
        self.lr = self.first * self.share()

    def share(self):
        return (1 + math.cos(math.pi * self.epoch / max(self.epochs, 1))) / 2


class Plateau(Schedule):
    """Multiplies the rate by `factor` after more than `patience` epochs without a decrease of the measure."""

    THRESHOLD = 1e-4

    def __init__(self, optimizer, factor, patience):
        super().__init__(optimizer)
        self.factor, self.patience, self.best, self.bad = factor, patience, math.inf, 0

    def step(self, measure):
        if measure < self.best * (1 - self.THRESHOLD):
            self.best, self.bad = measure, 0
        else:
            self.bad += 1
        if self.bad > self.patience:
            self.bad = 0
            self.lr *= self.factor

    def state(self):
        return {'best': self.best if math.isfinite(self.best) else None, 'bad': self.bad}

    def restore(self, state):
        self.best = math.inf if state.get('best') is None else state['best']
        self.bad = state.get('bad') or 0


def make_schedule(optimizer, options, epochs):
    """Returns the schedule for `options`, the value of `training.schedule` in `config.json`."""
    kind = options['kind']
    if kind == 'plateau':
        return Plateau(optimizer, options['factor'], options['patience'])
    if kind == 'step':
        return Step(optimizer, options['factor'], options['every'])
    if kind == 'cosine':
        return Cosine(optimizer, epochs)
    if kind == 'constant':
        return Schedule(optimizer)
    raise ValueError(f"schedule is '{kind}', expected plateau, step, cosine or constant")
