"""Compare two runs, or two folders of seeds, token by token: by how much they differ, and at which words.

    python -m lm.compare RUN RUN
    python -m lm.compare multirun/A multirun/B split=valid                      # the seeds of two settings
    python -m lm.compare 'multirun/A/cell=lstm,seed=*' 'multirun/A/cell=gru,seed=*' data.dir=FOLDER

It reads the nats that the runs have saved, and the text of their corpus. The words, the frequency classes and the
positions in the sentence where the perplexities differ go into `differences.md`, `.csv`, `.png` and `.svg`.
"""

import sys
from pathlib import Path

from omegaconf import DictConfig

from lm.cli import command
from lm.compare.compare_options import CompareOptions, name_folders
from lm.compare.difference_report import overall_sentence, write_differences
from lm.compare.run_pair import load_pair
from lm.config import typed
from lm.output import print_results


@command("compare", literal=("first", "second", "to", "data.dir"))
def compare(config: DictConfig) -> None:
    """Compare the runs that the config names, print the differences and save them."""
    options = typed(CompareOptions, config)
    pair = load_pair(options.first, options.second, options.split)
    print_results(overall_sentence(pair))
    folder = Path(options.to) if options.to else pair.first.runs[0].folder / "comparison"
    print_results(write_differences(pair, folder, options.data.get("dir")))


def main() -> None:
    """Run the command; the first two folders may be typed without the names of their options."""
    sys.argv[1:] = name_folders(sys.argv[1:])
    compare()


if __name__ == "__main__":
    main()
