"""The launcher that uses all of this machine, for `make sweep`: python -m lm.sweeps.recommended_launcher."""

import torch

from lm.sweeps.cores import cores


def recommended() -> str:
    """Return the name of a launcher: GPUs are handed out where there are several; a processor is shared by its cores.

    Several runs of one thread each get more done than one run on all threads (docs/scaling.md).
    """
    if torch.cuda.is_available():
        return "gpus" if torch.cuda.device_count() > 1 else "basic"
    return "local" if cores() > 1 else "basic"


if __name__ == "__main__":
    print(recommended())
