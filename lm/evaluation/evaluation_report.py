"""The options of `lm.evaluate` -> what it prints, for a split or for your own text."""

from collections.abc import Collection
from pathlib import Path

from lm.atomic_files import check_place
from lm.evaluation.ensembles import load_members
from lm.evaluation.evaluation_options import EvaluationOptions
from lm.evaluation.loading import load_corpus_of, load_other_corpus
from lm.evaluation.own_text import own_sentences
from lm.evaluation.scoring import prepare_scoring
from lm.evaluation.sentence_report import STANDARD_OUTPUT, sentence_report
from lm.evaluation.split_report import split_report
from lm.evaluation.text_batches import text_batches


def evaluation_report(options: EvaluationOptions, typed_names: Collection[str] = ()) -> str:
    """Score what the options say, and describe the result. `tune=true` does not choose the options in `typed_names`.

    Raises:
        ValueError, OSError: if a run, a corpus, a text or a file cannot be used.
    """
    for path in (options.nats, options.csv):
        if path is not None and path not in STANDARD_OUTPUT:
            check_place(Path(path))  # before minutes of tuning and scoring
    members = load_members(options.run, options.checkpoint)
    first, text = members[0], None
    if options.own_text:
        text = own_sentences(first, options.text, options.file)
        carried = options.state == "carried"
    else:
        corpus = (
            load_other_corpus(first, options.split, **options.data)
            if options.other_corpus
            else load_corpus_of(first, options.data_dir)
        )
        carried = first.config.batching == "streams"
        # What refuses to be used does so before minutes of tuning.
        batches = text_batches(first, corpus, options.split, options.composition.method(), options.batch_size)
        for member in members:
            _ = member.run.evaluations
    methods, data_dir = options.composition, None if options.other_corpus else options.data_dir
    scoring = prepare_scoring(members, methods, carried, data_dir, options.tune, typed_names)
    if text is not None:
        return sentence_report(scoring, text, options.state, options.rows, options.csv)
    return split_report(scoring, corpus, options.split, batches, options.nats)
