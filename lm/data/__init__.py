"""From text to words, to ids, to windows: everything a model reads."""
