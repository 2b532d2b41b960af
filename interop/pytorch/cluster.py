"""The processes that train together, as `torchrun` started them: gloo on CPUs, nccl on GPUs. Started without it, one process alone."""
import os
from datetime import timedelta

import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

# Listing and checking a million files on a slow disk takes a while, and the others wait.
TIMEOUT = timedelta(hours=2)


class Cluster:
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
        """What `job()` returns on the first process, on all of them; so with what it throws."""
        if self.size == 1:
            return job()
        outcome = [None, None]
        if self.is_first:
            try:
                outcome[0] = job()
            except Exception as error:  # thrown again below, everywhere
                outcome[1] = error
        dist.broadcast_object_list(outcome, src=0)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def gather(self, value):
        """Every process's value, in the order of their ranks."""
        values = [value]
        if self.size > 1:
            values = [None] * self.size
            dist.all_gather_object(values, value)
        return values

    def sums(self, *values):
        """Each number summed over all processes. They wait for each other here."""
        totals = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.size > 1:
            dist.all_reduce(totals)
        return totals.tolist()

    def parallel(self, model):
        """The model whose backward step averages the gradients over the processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[self.device.index] if self.device.type == 'cuda' else None)
