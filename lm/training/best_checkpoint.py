"""The checkpoint with the best weights."""

from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Keeps the weights of the epoch with the lowest validation perplexity in `best.ckpt`.

    Args:
        folder: where the checkpoint goes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "best",
            monitor="valid_ppl",
            mode="min",
            enable_version_counter=False,
            save_on_train_epoch_end=False,  # but before: a run that is stopped as an epoch ends must have them by then
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what was best so far, also where the run's folder was moved: Lightning forgets it there."""
        assert self.dirpath is not None
        folder = Path(self.dirpath)

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else path

        paths = {key: here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
        best_models = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": best_models, "dirpath": self.dirpath})
