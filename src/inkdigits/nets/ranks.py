"""Several processes that train one network together, as `torchrun` starts them: on several GPUs, or several machines.

    $ torchrun --nproc-per-node 4 -m inkdigits train --net best

Each takes its share of every batch, and PyTorch's DistributedDataParallel makes their gradients one. The first writes
the run folder; the others only compute. Elsewhere there is one process, and nothing here does anything.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class Ranks:
    """The processes of a training, this one among them.

    Attributes
    ----------
    count: how many; rank: which this is, from 0.
    """

    def __init__(self) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0")) if self.count > 1 else 0
        self.local = int(os.environ.get("LOCAL_RANK", "0")) if self.count > 1 else 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        """Find the others, unless that is done."""
        if self.count > 1 and not torch.distributed.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)  # where what is agreed on goes through
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """What is to be trained in place of `network`, whose weights it has: its gradients are those of all processes.

        Batch norm sees the batch of all of them on GPUs. Processors cannot do that: there each sees its own share.
        """
        if self.count == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        if device.type != "cuda":
            return DistributedDataParallel(network)
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return DistributedDataParallel(network, device_ids=[self.local])

    def share(self, index: Tensor) -> Tensor:
        """This process's part of a batch."""
        return index.tensor_split(self.count)[self.rank] if self.count > 1 else index

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.count > 1:
            torch.distributed.all_reduce(values)
        return values

    def agree(self, value: T) -> T:
        """What the first process has; waits for it."""
        if self.count == 1:
            return value
        shared: list[Any] = [value]
        torch.distributed.broadcast_object_list(shared)
        result: T = shared[0]
        return result
