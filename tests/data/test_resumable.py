from lm.data.resumable import Resumable


class Letters(Resumable):
    """Three batches, the letters of an epoch."""

    def __len__(self):
        return 3

    def batches_from(self, first):
        return (letter * (self._epoch + 1) for letter in "abc"[first:])


def test_an_iteration_continues_at_a_saved_position_once():
    letters, other = Letters(), Letters()
    letters.sampler.set_epoch(1)
    assert next(iter(letters)) == "aa"
    other.load_state_dict(letters.state_dict())
    assert list(other) == ["bb", "cc"]
    assert list(other) == ["aa", "bb", "cc"]


def test_the_position_after_the_last_batch_is_the_first_one():
    letters = Letters()
    assert len(list(letters)) == 3
    letters.load_state_dict(letters.state_dict())
    assert letters.state_dict() == {"epoch": 0, "next_batch": 0}
    assert list(letters) == ["a", "b", "c"]
