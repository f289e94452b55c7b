"""Score a saved run on a split of its corpus, or sentences of your own with it.

    python -m lm.evaluate run=RUN_FOLDER split=test                        # perplexity, with its protocol
    python -m lm.evaluate run=RUN_FOLDER split=test data.dir=FOLDER        # where the corpus lies on this machine
    python -m lm.evaluate run=RUN_FOLDER text="the company said"           # log-probability of each word
    python -m lm.evaluate run=RUN_FOLDER file=sentences.txt csv=table.csv  # of each sentence of a file

Sentences need the run folder alone.
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from lm.checks import check_choice, check_whole
from lm.cli import command
from lm.config import Config
from lm.data.batching import Batches, Batching
from lm.data.corpus import Corpus
from lm.data.sources import SPLITS
from lm.evaluation.evaluation_loop import EvalResult, evaluate
from lm.evaluation.loading import comparison, load_corpus_of, load_model, reading, recorded
from lm.evaluation.sentence_scores import score_sentences, sentences_of_file, sentences_of_text
from lm.evaluation.sentence_table import ROWS, plain_text, sentence_rows, summary, word_rows, write_csv
from lm.models.matmul_precision import FULL, full_precision_matmul
from lm.run_dir import RunDir
from lm.terminal import warn_of_unknown

STATES = ("reset", "carried")


@command("evaluate", literal=("run", "data.dir", "text", "file", "csv"))
def main(config: DictConfig) -> None:
    """Evaluate what the config names."""
    print(evaluation_text(config))


def evaluation_text(config: DictConfig) -> str:
    """Return what is to be shown: a perplexity with its protocol, or a table of sentences.

    Raises:
        ValueError, FileNotFoundError: where the config asks for what can't be had.
    """
    if OmegaConf.is_missing(config, "run"):
        raise ValueError("expected a run's folder, found none: type python -m lm.evaluate run=RUN_FOLDER split=test")
    run = RunDir.existing(str(config.run))
    with full_precision_matmul():
        if config.text is None and config.file is None:
            return evaluate_split(run, config.split, config.checkpoint, config.batch_size, config.data.dir)
        return evaluate_sentences(run, config)


def evaluate_split(run: RunDir, split: str, checkpoint: str, batch_size: int | None, folder: str | None) -> str:
    """Score a split of the run's corpus; return its perplexity, the protocol, and what `results.json` says of it."""
    check_choice("split", split, SPLITS)
    model, _, metadata = load_model(run, checkpoint)
    corpus = load_corpus_of(run, metadata, folder)
    settings = Config(**metadata["config"])
    batches = batches_of(settings.batches(), corpus, split, batch_size)
    found = evaluate(model, batches, progress=split)
    scored = "all" if found.protocol["state"] == "reset" else "all but the first"
    lines = {
        f"{split} perplexity": f"{found.ppl:.4f}",
        **_given_length(found),
        "weights": f"{checkpoint} of {settings.cell}, dropout {settings.dropout:g}, seed {settings.seed}",
        "corpus": f"{corpus.name}, SHA-256 {corpus.sha256[:12]}…",
        "protocol": f"{found.tokens:,} tokens scored once ({scored}) {reading(found.protocol)}",
        "precision": FULL,
        "results.json": comparison(found, recorded(run, checkpoint, split)),
    }
    return "\n".join(f"{name:18}{text}" for name, text in lines.items())


def batches_of(batching: Batching, corpus: Corpus, split: str, batch_size: int | None) -> Batches:
    """Return the batches that a run's own results are of, or those of so many columns, each from a state of zeros."""
    if batch_size is None:
        return batching.final_evaluation(corpus, split)
    check_whole("batch_size", batch_size, 20)
    return batching.evaluation(corpus, split, batch_size)


def _given_length(found: EvalResult) -> dict[str, str]:
    if found.ppl_given_length is None:
        return {}
    return {"given its length": f"{found.ppl_given_length:.4f}: told to the model, so not comparable with other models"}


def evaluate_sentences(run: RunDir, config: DictConfig) -> str:
    """Score the sentences of `text` or `file`; write them to `csv` where that is given, and return them as a table."""
    rows = config.rows or ("words" if config.file is None else "sentences")
    check_choice("rows", rows, ROWS)
    check_choice("state", config.state, STATES)
    sentences = sentences_given(config.text, config.file)
    model, vocabulary, _ = load_model(run, config.checkpoint)
    warn_of_unknown((word for words in sentences for word in words), vocabulary)
    scored = score_sentences(model, vocabulary, sentences, carried=config.state == "carried")
    table = word_rows(scored, vocabulary) if rows == "words" else sentence_rows(scored, vocabulary)
    if config.csv is not None:
        write_csv(Path(config.csv), table)
    told = "\nthe length of each sentence was told to the model" if model.lengths is not None else ""
    return f"{plain_text(table)}\n\n{summary(scored)}{told}"


def sentences_given(text: str | None, file: str | None) -> list[list[str]]:
    """Return the sentences of the one that is given.

    Raises:
        ValueError: where both are given, or there is no word in them, or the file is not UTF-8.
        FileNotFoundError: where there is no such file.
    """
    if text is not None and file is not None:
        raise ValueError("expected text= or file=, found both: leave one of them out")
    sentences = sentences_of_text(str(text)) if file is None else sentences_of_file(Path(file))
    if not sentences:
        raise ValueError('expected at least one word to score, found none: type text="the company said"')
    return sentences


if __name__ == "__main__":
    main()
