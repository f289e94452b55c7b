"""How a run ended, as `results.json` says it before all else."""

from typing import Any

from omegaconf import DictConfig


def outcome(config: DictConfig, status: str, error: str | None = None) -> dict[str, Any]:
    """Return how the run ended, and which one it was."""
    which = {"cell": config.cell.name, "dropout": config.dropout, "seed": config.seed}
    return {"status": status, "error": error} | which
