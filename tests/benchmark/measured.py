"""What a contest might have measured, in round numbers."""

from lm.benchmark.comparison import BY_HAND, PLAIN, TRAIN, Contest
from lm.benchmark.timing import DATA, LOOP, PARTS, SOFTMAX, UPDATE

MACHINE = {"device": "cpu (1 thread)", "precision": "float32", "versions": {"torch": "2.13", "commit": "abc1234"}}


def a_round(*steps_ms):
    """Steps of so many milliseconds, half of them in the softmax, a tenth in the loop."""
    shares = dict.fromkeys(PARTS, 0.0) | {SOFTMAX: 0.5, LOOP: 0.1, DATA: 0.1, UPDATE: 0.3}
    return {"steps": [{part: ms * share for part, share in shares.items()} for ms in steps_ms], "nats": [3.0, 2.0]}


def a_contest():
    return Contest(
        machine=MACHINE,
        rounds={
            PLAIN: [a_round(40, 40, 4000), a_round(60, 60, 60)],  # one step was held up by something else
            BY_HAND: [a_round(19, 19, 19), a_round(19, 19, 19)],
            TRAIN: [a_round(20, 20, 20), a_round(20, 20, 900)],
        },
        peak_memory={PLAIN: 400_000_000, BY_HAND: 450_000_000, TRAIN: 500_000_000},
        evaluations=[{"validation": 3000.0}, {"validation": 1.0}, {"validation": 3100.0}],
        ceiling={"float32": 4e6, "in_force": 8e6},
    )
