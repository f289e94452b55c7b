import os
import signal
from unittest.mock import Mock

import pytest

from lm.training.checkpointing import LastCheckpoint


@pytest.fixture
def listening(tmp_path):
    """A checkpointer of a run that trains."""
    checkpointer = LastCheckpoint(tmp_path / "last.ckpt", minutes=10, every=50)
    checkpointer.on_train_start(Mock(), Mock())
    yield checkpointer
    checkpointer.teardown(Mock(), Mock(), "fit")


def test_a_second_ctrl_c_is_for_whoever_listened_before(listening):
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_further_sigterms_while_the_first_is_served_change_nothing(listening):
    """Lightning's own handler would have the process wait for those of other devices."""
    before = signal.getsignal(signal.SIGTERM)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_signals_are_given_back_when_the_run_ends(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    checkpointer = LastCheckpoint(tmp_path / "last.ckpt", minutes=10, every=50)
    checkpointer.on_train_start(Mock(), Mock())
    checkpointer.teardown(Mock(), Mock(), "fit")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_checkpoint_within_an_epoch_says_how_far_it_is(tmp_path, caplog):
    caplog.set_level("INFO")
    checkpointer = LastCheckpoint(tmp_path / "last.ckpt", minutes=0, every=50)
    trainer = Mock(is_last_batch=False, world_size=1, current_epoch=2, max_epochs=5, num_training_batches=2323)
    checkpointer.on_train_batch_end(trainer, Mock(), None, None, batch_idx=1199)
    assert caplog.messages == ["epoch 3/5: 1,200 of 2,323 steps, checkpoint"]
    trainer.save_checkpoint.assert_called_once_with(tmp_path / "last.ckpt")
