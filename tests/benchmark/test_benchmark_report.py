import json

from lm.benchmark.benchmark_report import page
from lm.benchmark.measurements import results_of
from lm.benchmark.scaling import growth_page, write_growth
from tests.benchmark.jobs import small_job
from tests.benchmark.measured import a_contest


def results(first_step=(4.0, 5.0, 99.0), **changes):
    job = small_job(**changes)
    return results_of(job, job.corpus(), a_contest(), list(first_step))


def cells(text, start):
    """The cells of the table's row that begins with a word."""
    row = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_page_has_every_figure_in_its_unit():
    text = page(results())
    assert text.startswith("# lstm, 2 x 8, batch 4 x 5, 30 words (random), dropout 0\n")
    flops = 6 * 20 * (2 * 2 * 8 * 32 + 30 * 8)
    ceiling = f"{flops / 0.02 / 8e6:.0%}"
    assert cells(text, "lm.train") == ["lm.train", "20.00", "1,000", f"{flops / 0.02 / 1e9:.0f}", ceiling, "500"]
    assert "2.50 times as many steps a second as the plain loop (2.00 to 3.00 by round)" in text
    assert "cost 0.50 ms a step (0.50 to 0.50 by round), by the parts around the products" in text
    assert "whole steps differ by 1.00 (1.00 to 1.00)" in text
    assert cells(text, "projection and loss") == ["projection and loss", "30.00", "10.00", "3.00", "0 GFLOP/s"]
    assert cells(text, "validation") == ["validation", "3,000", "3.0"]
    assert "end of the first step: 5.0 s (median of 3)" in text


def test_of_what_was_not_measured_nothing_is_said():
    assert "first step" not in page(results(first_step=()))


def test_growth_is_a_table_in_the_order_of_the_work(tmp_path):
    sizes = {"b": 30, "a": 300}
    for name, size in sizes.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "benchmark.json").write_text(json.dumps(results(vocabulary_size=size)))
    text = write_growth(tmp_path)
    assert (tmp_path / "growth.md").read_text() == text
    rows = [line for line in text.splitlines() if line.startswith("| lstm")]
    assert [row.split("|")[1].strip() for row in rows] == ["lstm, 2 x 8, 30, 4 x 5", "lstm, 2 x 8, 300, 4 x 5"]
    assert cells(text, "lstm, 2 x 8, 300,")[2:5] == ["60.0", "20.0", "2.50"]
    assert cells(text, "lstm, 2 x 8, 300,")[-3:] == ["400", "500", "0"]


def test_growth_of_nothing_is_an_empty_table():
    assert "GFLOP" in growth_page([])


def test_a_table_is_replaced_whole(tmp_path):
    (tmp_path / "growth.md").write_text("old")
    text = write_growth(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"growth.md": text}
