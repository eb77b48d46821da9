"""Which number format trains quicker on this machine."""

import torch


def is_quick_in_bfloat16(device: torch.device) -> bool:
    """Whether matrices multiply quicker in bfloat16.

    A processor with matrix tiles (AMX) is some ten times as quick at it, one without takes 2.4
    times as long as in float32.
    """
    return device.type != "cpu" or torch.cpu._is_amx_tile_supported()
