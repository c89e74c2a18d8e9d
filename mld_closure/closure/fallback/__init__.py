"""Physics that serves a cell where the model may not: `request`, `ignition_growth`, `curve`."""

from .request import NAMES, Fallback, FallbackRequest

__all__ = ["NAMES", "Fallback", "FallbackRequest"]
