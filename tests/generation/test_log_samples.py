import torch

from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.generation.log_samples import sample_sentences
from tests.generation.small_models import small_model

VOCABULARY = Vocabulary([EOS, UNK, "a", "b", "c"])


def test_sampling_uses_no_dropout_and_leaves_training_as_it_was():
    model = small_model().train()
    before = torch.get_rng_state()
    sentences = sample_sentences(model, VOCABULARY, 3)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert sentences == sample_sentences(model.eval(), VOCABULARY, 3)
    assert len(sentences) == 3
    assert set(" ".join(sentences).split()) <= {"a", "b", "c"}
