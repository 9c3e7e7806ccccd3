"""The loss of SimCSE, without supervision: a text twice under dropout, among the others of a batch.

Legend: N rows of a batch, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

from torch import Tensor

from polyglance.losses import Terms
from polyglance.losses.contrastive import both_ways


def simcse(
    first: Tensor,
    second: Tensor,
    *,
    temperature: Tensor | float,
    groups: Tensor | None = None,
    block_rows: int | None = None,
) -> Terms:
    """Cross entropy of finding each text's other pass among those of the batch.

    Args:
        first: (N, D), unit: texts with one draw of dropout.
        second: (N, D), unit: the same texts with another; gradient reaches both.
        temperature: As the options below: see `both_ways`. SimCSE's is 0.05.
        groups: (N,) integers; rows of one group are the same text.
        block_rows: Rows of logits held at a time.

    Source: Gao, Yao and Chen 2021, equation 4; Babel-ImageNet, appendix B.3.
    """
    to_second, _ = both_ways(
        first, second, temperature=temperature, groups=groups, block_rows=block_rows
    )
    return {"total": to_second}
