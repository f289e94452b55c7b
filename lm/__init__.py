"""Recurrent word-level language models on the Penn Treebank, after Zaremba et al. (2014)."""

__version__ = "0.1.0"
