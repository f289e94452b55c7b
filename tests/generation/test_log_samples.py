import torch

from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.generation.log_samples import sample_sentences
from tests.generation.small_models import small_model

VOCABULARY = Vocabulary([EOS, UNK, "a", "b", "c"])


def test_a_model_in_training_writes_without_dropout_and_trains_on_as_if_it_had_not():
    model = small_model().train()
    before = torch.get_rng_state()
    sentences = sample_sentences(model, VOCABULARY, 3)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert sentences == sample_sentences(model.eval(), VOCABULARY, 3)
    assert len(sentences) == 3
    assert set(" ".join(sentences).split()) <= {"a", "b", "c"}
