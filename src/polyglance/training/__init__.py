"""Training: the only loop, and the parts it stands on.

`loop` is the loop; `optimizer_step` takes a step, by one of `optimizers`; `batches` gives the next
batch; `best_weights` keeps weights; `logs` records terms; `checkpoints` resumes after a stop.
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
