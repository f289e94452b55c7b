"""The rules of the layout and of the language that `CONTRIBUTING.md` states."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = [path for path in sorted((ROOT / "lm").rglob("*.py")) if not path.name.startswith("__")]
TEXTS = sorted(
    path
    for pattern in (
        "*.md",
        "Makefile",
        "docs/*.md",
        "conf/**/*.yaml",
        "lm/**/*.py",
        "tests/**/*.py",
        "notebooks/*.ipynb",
    )
    for path in ROOT.glob(pattern)
    if path != Path(__file__) and path.is_file()
)

NOT_USED = (
    r"(goes|gone|go|going|went) on with", r"broken off", r"taken up again", r"for want of", r"of one's own",
    r"words? of the model's own", r"nats a column", r"an? (row|line|point) an epoch", r"a run an? (core|gpu|process)",
    r"\bnumber (by|for) number", r"states? of zeros", r"lead-in", r"by hand\b", r"contenders?", r"contest\b",
    r"share of the (ceiling|padding)", r"told where", r"it writes\b", r"(bfloat16|rounded) factors",
    r"what was typed", r"the house\b", r"where memory ends", r"cold start", r"not begun", r"running, or broken",
    r"can be mended", r"the user can mend",
)  # fmt: skip
"""The words that this project used before it took those of PyTorch's, Lightning's and Hydra's documentation."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_no_two_modules_have_one_base_name():
    repeated = [found for found, count in Counter(path.name for path in MODULES).items() if count > 1]
    assert repeated == []


def test_a_module_has_at_most_250_lines():
    assert [name(path) for path in MODULES if len(text_of(path).splitlines()) > 250] == []


def test_a_module_has_a_mirror_in_tests():
    mirrors = [ROOT / "tests" / path.relative_to(ROOT / "lm").with_name(f"test_{path.name}") for path in MODULES]
    assert [name(path) for path in mirrors if not path.is_file()] == []


def test_no_test_module_imports_from_another():
    pattern = re.compile(r"^(?:from|import) tests\.(?:\w+\.)*test_\w+", re.M)
    assert [name(path) for path in sorted((ROOT / "tests").rglob("*.py")) if pattern.search(text_of(path))] == []


def test_the_contributors_page_has_a_line_for_every_module():
    page = text_of(ROOT / "CONTRIBUTING.md")
    assert [name(path) for path in MODULES if path.parent.name != "lm" and path.stem not in page] == []


def test_the_language_is_that_of_the_field():
    pattern = re.compile("|".join(NOT_USED), re.I)
    texts = {name(path): " ".join(text_of(path).split()) for path in TEXTS}
    assert [(file, match[0]) for file, text in texts.items() for match in pattern.finditer(text)] == []
