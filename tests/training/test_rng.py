import torch

from lm.training.rng import restore_rng, rng_states, saved_rng_states


def draws(saved, rank, seed=1):
    torch.manual_seed(seed)
    restore_rng(saved, seed, rank, torch.device("cpu"))
    return torch.rand(3)


def test_no_two_devices_and_no_two_seeds_draw_the_same():
    drawn = [draws({}, rank, seed) for seed in (1, 2) for rank in (0, 1, 2)]
    assert len({tuple(numbers.tolist()) for numbers in drawn}) == len(drawn)
    torch.manual_seed(1)
    assert torch.equal(drawn[0], torch.rand(3))  # one device draws as if there were no others


def test_a_device_continues_its_own_draws_and_an_additional_device_starts_others():
    cpu, saved = torch.device("cpu"), []
    expected = []
    for rank in (0, 1):
        draws({}, rank)
        saved.append(rng_states(cpu)["rng_state"])
        expected.append(torch.rand(3))
    states = saved_rng_states({"rng_state": torch.stack(saved)})
    assert all(torch.equal(draws(states, rank), expected[rank]) for rank in (0, 1))
    assert torch.equal(draws(states, 2), draws({}, 2))


def test_a_checkpoint_without_states_has_none_to_restore():
    assert saved_rng_states({"epoch": 1}) == {}


def test_without_saved_states_the_first_device_keeps_its_generator():
    torch.manual_seed(1)
    torch.rand(2)  # the initial weights, for example
    before = torch.get_rng_state()
    restore_rng({}, 1, 0, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), before)
