"""Communication of the training processes that `torchrun` starts: gloo on CPUs, nccl on GPUs. Without `torchrun` there is one process."""
import os
from datetime import timedelta

import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

# The other processes wait while the first one lists and checks the files, which takes long for a million files on a slow disk.
TIMEOUT = timedelta(hours=2)


class Cluster:
    """The group of training processes: rank, size and device of this process, and operations over all of them."""

    def __init__(self, backend='auto'):
        if backend == 'auto':
            backend = 'nccl' if torch.cuda.is_available() else 'gloo'
        self.backend = backend
        self.rank = int(os.environ.get('RANK', 0))
        self.size = int(os.environ.get('WORLD_SIZE', 1))
        self.device = torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0))) if backend == 'nccl' else torch.device('cpu')
        if backend == 'nccl':
            torch.cuda.set_device(self.device)
        if self.size > 1:
            dist.init_process_group(backend, timeout=TIMEOUT)

    @property
    def is_first(self):
        return self.rank == 0

    def leave(self):
        if self.size > 1:
            dist.destroy_process_group()

    def first(self, job):
        """Runs `job()` on the first process, and returns its result or raises its exception on all processes."""
        if self.size == 1:
            return job()
        outcome = [None, None]
        if self.is_first:
            try:
                outcome[0] = job()
            except Exception as error:  # raised again below, on all processes
                outcome[1] = error
        dist.broadcast_object_list(outcome, src=0)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def gather(self, value):
        """Returns the values of all processes, in the order of their ranks."""
        values = [value]
        if self.size > 1:
            values = [None] * self.size
            dist.all_gather_object(values, value)
        return values

    def sums(self, *values):
        """Returns the sum of each value over all processes. The processes wait for each other here."""
        totals = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.size > 1:
            dist.all_reduce(totals)
        return totals.tolist()

    def parallel(self, model):
        """Wraps a model so that its backward pass averages the gradients over all processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[self.device.index] if self.device.type == 'cuda' else None)
