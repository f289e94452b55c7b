"""The LightningModule against an independent loop in plain PyTorch."""

from dataclasses import replace

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn

from lm.data.bptt import BPTTBatches
from lm.data.sentences import Sentences
from lm.evaluation.loading import load_saved_run
from lm.models.language_model import LanguageModel, detach_states
from lm.training.lightning_module import LanguageModelModule
from lm.training.sgd import SGD
from tests.configs import config_with
from tests.waits import Waits

WORDS, SIZE, COLUMNS, ROWS = 50, 16, 4, 7


def settings(**changes):
    values = {
        "cell": "lstm", "dropout": 0.0, "hidden_size": SIZE, "embedding_size": SIZE, "num_layers": 2,
        "tie_weights": False, "init_range": 0.1, "batch_size": COLUMNS, "seq_len": ROWS, "epochs": 3, "lr": 1.0,
        "epochs_at_full_rate": 1, "lr_decay_factor": 2.0, "max_grad_norm": 0.5, "seed": 1,
    }  # fmt: skip
    return config_with(**values | changes)


def trainer(given):
    return pl.Trainer(
        max_epochs=given.epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", log_every_n_steps=1, use_distributed_sampler=False,
    )  # fmt: skip


def train_with_lightning(model, given, streams):
    task = LanguageModelModule(model, given, metadata={})
    trainer(given).fit(task, streams, BPTTBatches(streams.ids, COLUMNS, ROWS))
    return task


def train_with_plain_pytorch(model, given, ids):
    """Zaremba's recipe from the paper, on PyTorch's own modules, without this project's streams, loss or task."""
    embedding = nn.Embedding.from_pretrained(model.embedding.weight.detach().clone(), freeze=False)
    rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[given.cell](SIZE, SIZE, given.num_layers)
    for index, layer in enumerate(model.rnns):
        for name, value in layer.named_parameters():
            getattr(rnn, name.replace("_l0", f"_l{index}")).data.copy_(value.data)
    projection = nn.Linear(SIZE, WORDS)
    projection.load_state_dict(model.decoder.state_dict())
    parameters = [*embedding.parameters(), *rnn.parameters(), *projection.parameters()]
    columns_TB = ids[:-1].view(COLUMNS, -1).t()
    targets_TB = ids[1:].view(COLUMNS, -1).t()
    for epoch in range(given.epochs):
        state = None
        rate = given.lr / given.lr_decay_factor ** max(0, epoch + 1 - given.epochs_at_full_rate)
        for start in range(0, len(columns_TB), ROWS):
            hidden, state = rnn(embedding(columns_TB[start : start + ROWS]), state)
            state = tuple(s.detach() for s in state) if given.cell == "lstm" else state.detach()
            targets = targets_TB[start : start + ROWS]
            mean = F.cross_entropy(projection(hidden).flatten(0, 1), targets.flatten())
            gradients = torch.autograd.grad(mean * len(targets), parameters)
            norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.data -= rate * gradient * min(1.0, given.max_grad_norm / norm)
    return [embedding.weight, projection.weight, projection.bias, *rnn.parameters()]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_training_equals_an_independent_loop(cell):
    torch.manual_seed(0)
    given, ids = settings(cell=cell), torch.randint(WORDS, (COLUMNS * 24 + 1,))
    model = LanguageModel(WORDS, **given.model_arguments())
    expected = train_with_plain_pytorch(model, given, ids)
    train_with_lightning(model, given, BPTTBatches(ids, COLUMNS, ROWS))
    recurrent = [value for layer in model.rnns for value in layer.parameters()]
    found = [model.embedding.weight, model.decoder.weight, model.decoder.bias, *recurrent]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_random_windows_are_trained_as_in_awd_lstm():
    """Mean loss of each window, L2, and a learning rate that is scaled by the window's length."""
    torch.manual_seed(0)
    usual = 10
    lr, clip, decay = 5.0, 0.16, 1e-3  # of the mean loss
    converted = {"lr": lr / usual, "max_grad_norm": clip * usual, "weight_decay": decay * usual}
    given = settings(seq_len=usual, random_seq_len=True, epochs=2, epochs_at_full_rate=3, **converted)
    ids = torch.randint(WORDS, (COLUMNS * 100 + 1,))
    model, same = LanguageModel(WORDS, **given.model_arguments()), LanguageModel(WORDS, **given.model_arguments())
    same.load_state_dict(model.state_dict())
    parameters, windows = list(same.parameters()), BPTTBatches(ids, COLUMNS, usual, random_seq_len=True)
    clipped = []
    for epoch in range(given.epochs):
        windows.set_epoch(epoch)
        states = None
        for window in windows:
            logits_TBV, states = same.logits(window.inputs_TB, states)
            states = detach_states(states)
            mean = F.cross_entropy(logits_TBV.flatten(0, 1), window.targets_TB.flatten())
            gradients = torch.autograd.grad(mean, parameters)
            norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
            clipped.append(bool(norm > clip))
            for parameter, gradient in zip(parameters, gradients, strict=True):
                update = gradient * min(1.0, clip / norm) + decay * parameter.data
                parameter.data -= lr * len(window.targets_TB) / usual * update
    task = LanguageModelModule(model, given, metadata={})
    trainer(given).fit(task, windows, BPTTBatches(ids, COLUMNS, usual))
    assert len(set(clipped)) == 2
    for one, other in zip(model.parameters(), parameters, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert task.optimizers().param_groups[0]["lr"] == lr / usual


def sentences_one_by_one(model, given, batches):
    """Plain gradient descent on the words of each sentence alone, a step for as many sentences as a batch has."""
    parameters = list(model.parameters())
    for epoch in range(given.epochs):
        batches.set_epoch(epoch)
        for batch in batches:
            nats = torch.zeros(())
            for inputs_T, targets_T in zip(batch.inputs_TB.t(), batch.targets_TB.t(), strict=True):
                logits_TBV, _ = model.logits(inputs_T[targets_T >= 0][:, None])
                nats = nats + F.cross_entropy(logits_TBV[:, 0], targets_T[targets_T >= 0], reduction="sum")
            gradients = torch.autograd.grad(nats / COLUMNS, parameters)
            norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.data -= gradient * min(1.0, given.max_grad_norm / norm)
    return model


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_training_on_sentences_equals_an_independent_loop_without_padding(padding_side):
    torch.manual_seed(0)
    given = settings(cell="gru", batching="sentences", epochs=2, epochs_at_full_rate=2)
    ids = torch.cat([torch.randint(6, (150,)), torch.zeros(1, dtype=torch.long)])
    model, same = LanguageModel(WORDS, **given.model_arguments()), LanguageModel(WORDS, **given.model_arguments())
    same.load_state_dict(model.state_dict())
    sentences_one_by_one(same, given, Sentences(ids, 0, COLUMNS, padding_side=padding_side, seed=1))
    task = LanguageModelModule(model, given, metadata={})
    trainer(given).fit(task, Sentences(ids, 0, COLUMNS, padding_side=padding_side, seed=1), Sentences(ids, 0, COLUMNS))
    for one, other in zip(model.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_step_waits_for_nothing_before_its_update(cell):
    ids = torch.randint(WORDS, (COLUMNS * 24 + 1,))
    given = settings(cell=cell, dropout=0.5)
    task = LanguageModelModule(LanguageModel(WORDS, **given.model_arguments()), given, metadata={})
    optimizer = task.configure_optimizers()["optimizer"]
    windows = list(BPTTBatches(ids, COLUMNS, ROWS))
    with Waits():
        for index, window in enumerate(windows):
            task.training_step(window, index).backward()
            task.configure_gradient_clipping(optimizer)
            optimizer.zero_grad()


PENALTIES = {"activation_penalty": 2.0, "temporal_penalty": 1.0}


def test_the_penalties_are_on_the_scale_of_the_mean_loss_of_a_word():
    given = settings(dropout=0.5, output_dropout=0.5, **PENALTIES)
    task = LanguageModelModule(LanguageModel(WORDS, **given.model_arguments()), given, metadata={})
    window = BPTTBatches(torch.randint(WORDS, (COLUMNS * ROWS + 1,)), COLUMNS, ROWS).batch(0)
    outputs = []
    hook = task.model.output_dropout.register_forward_hook(lambda _, given, output: outputs.extend([*given, output]))
    torch.manual_seed(7)
    nats, _ = task.model.total_nats(window.inputs_TB, window.targets_TB)
    hook.remove()
    torch.manual_seed(7)
    found = task.training_step(window, 0) / ROWS
    output_TBH, dropped_TBH = outputs
    mean = 2 * dropped_TBH.pow(2).mean() + 1 * (output_TBH[1:] - output_TBH[:-1]).pow(2).mean()
    torch.testing.assert_close(found, nats / (ROWS * COLUMNS) + mean)


@pytest.mark.parametrize("length_conditioning", [False, True])
def test_the_penalties_of_sentences_leave_out_their_padding(length_conditioning):
    torch.manual_seed(0)
    plain = settings(cell="gru", batching="sentences", length_conditioning=length_conditioning)
    given = replace(plain, **PENALTIES)
    model = LanguageModel(WORDS, **given.model_arguments())
    ids = torch.cat([torch.randint(6, (150,)), torch.zeros(1, dtype=torch.long)])
    batch = next(iter(Sentences(ids, 0, COLUMNS, padding_side="left", bucket_width=50, seed=1)))
    expected = 0.0
    for inputs_T, targets_T, remaining_T in zip(*(part.t() for part in batch), strict=True):
        scored_T = targets_T >= 0
        states_TH, _ = model(inputs_T[scored_T][:, None], None, remaining_T[scored_T][:, None])
        expected += len(states_TH) * 2 * states_TH.pow(2).mean()
        if len(states_TH) > 1:
            expected += len(states_TH) * (states_TH[1:] - states_TH[:-1]).pow(2).mean()
    found, without = (LanguageModelModule(model, each, metadata={}).training_step(batch, 0) for each in (given, plain))
    assert (batch.targets_TB < 0).any()
    torch.testing.assert_close(found - without, expected / COLUMNS)


@pytest.mark.parametrize(
    ("tied", "device", "sparse"), [(False, "cpu", True), (True, "cpu", False), (False, "meta", False)]
)
def test_the_embeddings_gradient_is_sparse_where_it_helps(tied, device, sparse):
    given = settings(tie_weights=tied)
    task = LanguageModelModule(LanguageModel(WORDS, **given.model_arguments()), given, metadata={}).to(device)
    optimizer = task.configure_optimizers()["optimizer"]
    assert task.model.embedding.sparse == sparse
    assert isinstance(optimizer, SGD if device == "cpu" else torch.optim.SGD)
    assert optimizer.param_groups[0]["fused"]


def test_a_step_of_tied_weights_equals_an_independent_one():
    torch.manual_seed(0)
    given, ids = settings(tie_weights=True), torch.randint(WORDS, (COLUMNS * ROWS + 1,))
    model = LanguageModel(WORDS, **given.model_arguments())
    task = LanguageModelModule(model, given, metadata={})
    optimizer = task.configure_optimizers()["optimizer"]
    window = BPTTBatches(ids, COLUMNS, ROWS).batch(0)
    logits_TBV, _ = model.logits(window.inputs_TB)
    mean = F.cross_entropy(logits_TBV.flatten(0, 1), window.targets_TB.flatten())
    gradients = torch.autograd.grad(mean * ROWS, list(model.parameters()))
    scale = min(1.0, given.max_grad_norm / torch.cat([gradient.flatten() for gradient in gradients]).norm())
    expected = [value - scale * gradient for value, gradient in zip(model.parameters(), gradients, strict=True)]
    task.training_step(window, 0).backward()
    task.configure_gradient_clipping(optimizer)
    optimizer.step()
    torch.testing.assert_close(list(model.parameters()), expected, atol=1e-6, rtol=0)


def test_lightning_loads_a_checkpoint_without_further_arguments(saved_run):
    saved = load_saved_run(saved_run)
    module = LanguageModelModule.load_from_checkpoint(saved_run / "checkpoints" / "best.ckpt")
    assert module.config == saved.config
    for name, value in saved.model.state_dict().items():
        torch.testing.assert_close(module.model.state_dict()[name], value, rtol=0, atol=0)


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "best.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"expected a checkpoint of this project, found '.*best.ckpt' damaged"):
        LanguageModelModule.load_from_checkpoint(tmp_path / "best.ckpt")
