"""Score saved runs on a split of their corpus or of another one, or score your own sentences with them.

    python -m lm.evaluate run=RUN_FOLDER split=test                        # perplexity, with its protocol
    python -m lm.evaluate run=RUN_FOLDER split=test data.dir=FOLDER        # if the corpus is in another folder now
    python -m lm.evaluate run=RUN_FOLDER method=dynamic,cache tune=true    # options chosen on the validation split
    python -m lm.evaluate run=A,B,C                                        # an ensemble
    python -m lm.evaluate run=RUN_FOLDER data=text data.dir=FOLDER         # another corpus, in the run's words
    python -m lm.evaluate run=RUN_FOLDER text="the company said"           # log-probability of each word
    python -m lm.evaluate run=RUN_FOLDER file=sentences.txt csv=table.csv  # of each sentence of a file

Scores are in full float32. Your own sentences are prepared like the corpus; they need the run folder alone, and the
corpus if the method learns from it.
"""

from omegaconf import DictConfig

from lm.cli import command
from lm.evaluation.evaluation_options import EvaluationOptions
from lm.evaluation.evaluation_report import evaluation_report
from lm.models.matmul_precision import full_precision_matmul
from lm.output import print_results, print_swept_run
from lm.overrides import overridden_names, refuse_options


@command("evaluate", literal=("run", "method", "data.dir", "text", "file", "nats", "csv"))
def main(config: DictConfig) -> None:
    """Evaluate runs and print the result."""
    options = EvaluationOptions.from_hydra(config)
    for unused in options.unused:
        refuse_options(overridden_names(), *unused)
    print_swept_run(options.run)
    with full_precision_matmul():
        print_results(evaluation_report(options, overridden_names()))


if __name__ == "__main__":
    main()
