import pytest
import torch

from lm.generation.beam_search import Beam, beam_search
from lm.generation.decoder import Decoder
from lm.generation.length_conditioned import LengthConditionedDecoder, make_decoder, predicted_length
from lm.generation.sampling import sample
from lm.models.language_model import LanguageModel
from tests.generation.small_models import CELLS, EOS, PROMPT, SIZE, small_model


def conditioned_model(cell="gru"):
    torch.manual_seed(0)
    return LanguageModel(SIZE, cell, 6, 4, num_layers=2, init_range=1.5, length_conditioning=True).eval()


@torch.no_grad()
def conditional_log_probabilities(model, ids, length):
    """Of the next word, from reading everything before it again, given the number of remaining words."""
    remaining_T1 = torch.tensor([max(0, length - place) for place in range(len(ids))])[:, None]
    return model.logits(torch.tensor(ids)[:, None], None, remaining_T1)[0][-1, 0].log_softmax(0)


@pytest.mark.parametrize("length", [2, 5, 300])
@pytest.mark.parametrize("cell", CELLS)
def test_the_model_is_conditioned_on_what_remains_of_the_whole_text(cell, length):
    model = conditioned_model(cell)
    decode, states = LengthConditionedDecoder(model, length), None
    text = [*PROMPT, 4, 2, 3]
    for end in range(len(PROMPT), len(text)):
        read = PROMPT if states is None else text[end - 1 : end]
        found_BV, states = decode(torch.tensor(read)[:, None], states)
        torch.testing.assert_close(found_BV[0], conditional_log_probabilities(model, text[:end], length))


def test_beam_search_and_sampling_condition_alike():
    model = conditioned_model()
    decode = LengthConditionedDecoder(model, 4)
    beams = beam_search(decode, PROMPT, EOS, 6, Beam(4))
    for text in [*beams, *sample(decode, PROMPT, EOS, 6, num_samples=4)]:
        ids = [*PROMPT, *text.ids, *[EOS] * text.ended]
        values = [
            float(conditional_log_probabilities(model, ids[:end], 4)[ids[end]]) for end in range(len(PROMPT), len(ids))
        ]
        assert text.log_probability == pytest.approx(sum(values), rel=1e-5)


def test_a_length_is_predicted_after_the_prompt():
    model = conditioned_model()
    with torch.no_grad():
        probabilities_C = model.lengths.head(model(torch.tensor(PROMPT)[:, None])[0][-1, 0]).softmax(0)
    words = len(PROMPT) - 1
    assert predicted_length(model, PROMPT, None) == words + int(probabilities_C.argmax())
    drawn = torch.tensor([predicted_length(model, PROMPT, seed) for seed in range(300)]) - words
    means = [float((drawn.double()).mean()), float(probabilities_C.double() @ torch.arange(101).double())]
    assert means[0] == pytest.approx(means[1], abs=6)
    assert predicted_length(model, PROMPT, 3) == predicted_length(model, PROMPT, 3)


def test_a_model_gets_the_decoder_that_it_was_trained_for():
    assert type(make_decoder(small_model(), PROMPT, [], None, 1)) is Decoder
    assert make_decoder(conditioned_model(), PROMPT, [], 7, 1).length == 7
    assert make_decoder(conditioned_model(), PROMPT, [], None, None).length == predicted_length(
        conditioned_model(), PROMPT, None
    )


def test_an_impossible_length_is_refused():
    with pytest.raises(ValueError, match=r"expected a run that was trained with length_conditioning=true for length=7"):
        make_decoder(small_model(), PROMPT, [], 7, 1)
    with pytest.raises(
        ValueError, match="expected length to be at least the number of words of the prompt, found 1 for 2"
    ):
        make_decoder(conditioned_model(), PROMPT, [], 1, 1)
