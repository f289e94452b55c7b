"""Generate text with a saved run.

    python -m lm.generate                                              # with the best model that make demo left
    python -m lm.generate run=RUN_FOLDER prompt="the company" max_new_tokens=30 temperature=0.8      # by sampling
    python -m lm.generate run=RUN_FOLDER prompt="the company" num_samples=5 top_p=0.9 seed=2
    python -m lm.generate run=RUN_FOLDER prompt="the company" length=12    # trained with length_conditioning=true
    python -m lm.generate run=RUN_FOLDER prompt="the company" beam.width=8 beam.length_penalty=1  # the likeliest text

It needs the run folder alone. The texts go to standard output, everything else to standard error.
`conf/generate.yaml` explains all options, `lm/generation/beam_search.py` the length penalty.
"""

from time import perf_counter

from omegaconf import DictConfig

from lm.cli import command
from lm.config import typed
from lm.evaluation.loading import load_saved_run
from lm.evaluation.own_text import own_words
from lm.generation.generation_report import print_texts
from lm.generation.text_generation import GenerationOptions, generate
from lm.models.matmul_precision import full_precision_matmul
from lm.output import print_note, print_swept_run
from lm.overrides import overridden_names, refuse_options
from lm.run_search import best_run


@command("generate", literal=("run", "prompt"))
def main(config: DictConfig) -> None:
    """Generate texts and print them."""
    options = typed(GenerationOptions, config)
    refuse_options(overridden_names(), *options.unused)
    folder = options.run
    if folder is None:
        folder = best_run("python_docs").folder
        print_note(f"generating with {folder}, the best run on Python's documentation here\n")
    saved = load_saved_run(folder, options.checkpoint)
    prompt = own_words(saved, options.prompt)
    started = perf_counter()
    with full_precision_matmul():
        generated = generate(saved.model, saved.vocabulary, prompt, options)
    print_swept_run(folder)
    print_texts(generated, saved.vocabulary, options, perf_counter() - started)


if __name__ == "__main__":
    main()
