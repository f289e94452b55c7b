import csv
import io

import pytest

from lm.evaluation.loading import load_saved_run
from lm.evaluation.methods import Static
from lm.evaluation.scoring import Scoring
from lm.evaluation.sentence_report import sentence_report

SENTENCES = [["ada", "reads"], ["alan", "\x1b[31mruns"]]


def scoring_of(run):
    return Scoring([load_saved_run(run)], [Static()])


@pytest.mark.parametrize(("per", "rows"), [("word", 6), ("sentence", 2)])
def test_a_table_has_a_row_per_word_or_per_sentence_and_the_totals(saved_run, per, rows):
    shown = sentence_report(scoring_of(saved_run), SENTENCES, "reset", per, None)
    assert len(shown.split("\n\n")[0].splitlines()) == 2 + rows
    assert shown.splitlines()[-1].startswith("2 sentences, 6 tokens (<eos> included): log-probability -")
    assert "\x1b" not in shown


def test_csv_replaces_the_table_or_goes_to_a_file(saved_run, tmp_path, capsys):
    scoring = scoring_of(saved_run)
    returned = sentence_report(scoring, SENTENCES, "carried", "word", "-")
    assert "2 sentences, 6 tokens" in capsys.readouterr().err
    sentence_report(scoring, SENTENCES, "carried", "word", str(tmp_path / "table.csv"))
    written = (tmp_path / "table.csv").read_text(encoding="utf-8")
    assert returned.replace("\\x1b", "\x1b") + "\n" == written
    assert len(list(csv.DictReader(io.StringIO(written)))) == 6
