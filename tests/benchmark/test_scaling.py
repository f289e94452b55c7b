import json

from lm.benchmark.benchmark_report import results_of
from lm.benchmark.scaling import write_scaling
from tests.benchmark.jobs import measured, small_job


def write_benchmark(folder, vocabulary_size):
    job = small_job(vocabulary_size=vocabulary_size)
    folder.mkdir(parents=True)
    (folder / "benchmark.json").write_text(json.dumps(results_of(job, job.corpus(), measured(), [])))


def rows(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "lstm" in line]


def test_benchmarks_are_rows_in_the_order_of_their_flops_wherever_they_lie(tmp_path):
    write_benchmark(tmp_path / "a" / "b", 300)
    write_benchmark(tmp_path / "c", 30)
    (tmp_path / "scaling.md").write_text("an earlier table")
    text = write_scaling(tmp_path)
    assert (tmp_path / "scaling.md").read_text() == text
    small, large = rows(text)
    assert small[0] == "lstm, 2 x 8, 30 words, batch 4 x 5"
    assert large[:5] == ["lstm, 2 x 8, 300 words, batch 4 x 5", "0.0", "60.0", "20.0", "2.50"]
    assert large[6:] == ["0.0", "10.0", "6.0", "400", "500"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c", "scaling.md"]


def test_the_table_of_no_benchmark_is_empty(tmp_path):
    assert "GFLOP" in write_scaling(tmp_path)
