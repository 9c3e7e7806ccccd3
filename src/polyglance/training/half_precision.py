"""Whether half precision pays here: only where the processor has instructions for it.

Without them products in bfloat16 are emulated: on an AVX2 processor a training step took 9 times as
long as in float32, a product of two matrices 50 to 120 times.
"""

from __future__ import annotations

import torch

# Of x86, and of ARM.
INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


def pays(device: str | torch.device = "cpu") -> bool:
    """Whether products in bfloat16 are faster than those in float32 on a device."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.device(device).type != "cpu":
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch cannot say
        return False
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in INSTRUCTIONS)
