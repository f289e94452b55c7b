from lm.evaluation.evaluations import describe_method, describe_tuning

SETTINGS = {"temperature": {"temperature": 1.1}, "cache": {"theta": 0.5, "window": 500}}


def test_a_method_is_described_with_its_options_as_they_are_typed():
    protocol = {"method": "temperature,cache", "settings": SETTINGS, "ensemble": 3}
    assert describe_method(protocol) == (
        "temperature,cache evaluation (temperature=1.1 cache.theta=0.5 cache.window=500), mean of 3 runs"
    )
    assert describe_method({"method": "static"}) == "static evaluation"


def test_tuning_is_described_by_what_was_chosen_and_where():
    grid = {"dynamic": {"lr": [1]}, "cache": {"theta": [1]}}
    record = {"split": "valid", "grid": grid, "reader_tokens": 20_000, "reader_ppl": 95.5}
    assert describe_tuning(record | {"tokens": 73_759, "ppl": 90.0}) == (
        "dynamic.lr, cache.theta chosen on the valid split, whose first 20,000 tokens then have perplexity 95.5000, "
        "whose 73,759 tokens then have perplexity 90.0000"
    )
