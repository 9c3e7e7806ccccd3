"""Training: the only loop, and the parts it stands on.

`loop` is the loop; `descent` takes a step, by one of `optimizers`; `batches` says what comes next;
`keepers` which weights stay; `logs` tells of it; `runs` makes it go on after a stop.
"""

from polyglance.training.batches import dealt_batches, shuffled_batches
from polyglance.training.checkpoints import RunFolder
from polyglance.training.config import Precision, TrainConfig, TrainReport
from polyglance.training.fingerprints import fingerprint
from polyglance.training.loop import Step, fit

__all__ = [
    "Precision",
    "RunFolder",
    "Step",
    "TrainConfig",
    "TrainReport",
    "dealt_batches",
    "fingerprint",
    "fit",
    "shuffled_batches",
]
