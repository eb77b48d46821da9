"""Which number format trains quicker on this machine."""

import torch


def is_quick_in_bfloat16(device: torch.device) -> bool:
    """Whether matrices multiply quicker in bfloat16.

    A processor with instructions for it is 2 to 3 times as quick (with matrix tiles, AMX, some ten
    times; each such processor has these as well), one without takes 2.4 times as long as in
    float32.
    """
    return device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
