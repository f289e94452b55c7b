"""Score a saved run on a split of its corpus, or score your own sentences with it.

    python -m lm.evaluate run=RUN_FOLDER split=test                        # perplexity, with its protocol
    python -m lm.evaluate run=RUN_FOLDER split=test data.dir=FOLDER        # if the corpus is in another folder now
    python -m lm.evaluate run=RUN_FOLDER text="the company said"           # log-probability of each word
    python -m lm.evaluate run=RUN_FOLDER file=sentences.txt csv=table.csv  # of each sentence of a file

Scores are in full float32. Your own sentences are prepared like the corpus; they need the run folder alone.
"""

from omegaconf import DictConfig

from lm.cli import command
from lm.config import typed
from lm.evaluation.evaluation_options import EvaluationOptions
from lm.evaluation.loading import load_saved_run
from lm.evaluation.methods import METHODS
from lm.evaluation.own_text import own_sentences
from lm.evaluation.sentence_report import sentence_report
from lm.evaluation.split_report import split_report
from lm.models.matmul_precision import full_precision_matmul
from lm.output import print_results, print_swept_run
from lm.overrides import refuse_options


@command("evaluate", literal=("run", "data.dir", "text", "file", "csv"))
def main(config: DictConfig) -> None:
    """Evaluate a run and print the result."""
    options = typed(EvaluationOptions, config)
    refuse_options(*options.unused)
    saved, method = load_saved_run(options.run, options.checkpoint), METHODS[options.method]()
    print_swept_run(options.run)
    with full_precision_matmul():
        if options.own_text:
            sentences = own_sentences(saved, options.text, options.file)
            print_results(sentence_report(saved, sentences, options.state, options.rows, options.csv, method))
        else:
            print_results(split_report(saved, options.split, options.data_dir, options.batch_size, method))


if __name__ == "__main__":
    main()
