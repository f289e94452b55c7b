import math
import signal
from unittest.mock import Mock

import pytest

from lm.training.checkpointing import LastCheckpoint
from lm.training.signals import STOP_SIGNALS, Interrupted, StopRequest

FOREVER = 1e9


@pytest.fixture
def path(tmp_path):
    return tmp_path / "last.ckpt"


def started(path, interval=FOREVER, time_limit=math.inf):
    """Return the callback of a run that trains, with the stop request that it watches."""
    stop = StopRequest()
    callback = LastCheckpoint(path, interval, time_limit, every=50, stop=stop)
    callback.on_train_start(Mock(), Mock())
    return callback, stop


def trainer_at(epoch, **attributes):
    """Return a Trainer in an epoch, counted from 0, of five epochs."""
    attributes = {"is_last_batch": False, "should_stop": False, "early_stopping_callbacks": []} | attributes
    return Mock(world_size=1, current_epoch=epoch, max_epochs=5, num_training_batches=2323, **attributes)


def test_a_checkpoint_within_an_epoch_says_how_far_the_epoch_is(path, caplog):
    caplog.set_level("INFO")
    callback, _ = started(path, interval=0)
    trainer = trainer_at(2)
    callback.on_train_batch_end(trainer, Mock(), None, None, batch_idx=1199)
    assert caplog.messages == ["epoch 3/5: 1,200 of 2,323 steps, checkpoint"]
    trainer.save_checkpoint.assert_called_once_with(path)


def test_without_a_reason_no_step_writes_a_checkpoint(path):
    callback, _ = started(path)
    trainer = trainer_at(2)
    callback.on_train_batch_end(trainer, Mock(), None, None, batch_idx=1199)
    trainer.save_checkpoint.assert_not_called()


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_stops_training_at_the_next_step_after_a_checkpoint(path, number):
    callback, stop = started(path)
    stop(number)
    trainer = trainer_at(2)
    with pytest.raises(Interrupted, match=f"stopped by {number.name}"):
        callback.on_train_batch_end(trainer, Mock(), None, None, batch_idx=1199)
    trainer.save_checkpoint.assert_called_once_with(path)


@pytest.mark.parametrize(
    ("time_limit", "should_stop", "reason"), [(0, False, "trainer.max_time"), (math.inf, True, "a callback")]
)
def test_a_time_limit_or_a_callback_stops_training_after_a_checkpoint(path, time_limit, should_stop, reason):
    callback, _ = started(path, time_limit=time_limit)
    trainer = trainer_at(2, should_stop=should_stop)
    with pytest.raises(Interrupted, match=f"stopped by {reason}"):
        callback.on_train_batch_end(trainer, Mock(), None, None, batch_idx=1199)
    with pytest.raises(Interrupted, match=f"stopped by {reason}"):
        callback.on_train_epoch_end(trainer, Mock())
    assert trainer.save_checkpoint.call_count == 2


def test_a_time_limit_that_is_reached_in_the_last_epoch_lets_the_run_finish(path):
    callback, _ = started(path, time_limit=0)
    trainer = trainer_at(4)
    callback.on_train_epoch_end(trainer, Mock())
    trainer.save_checkpoint.assert_called_once_with(path)


def test_after_training_a_signal_interrupts_at_once(path):
    callback, stop = started(path)
    callback.teardown(Mock(), Mock(), "fit")
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        stop(signal.SIGTERM)
