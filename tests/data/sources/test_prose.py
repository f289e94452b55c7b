import pytest

from lm.data.sources.prose import cut_sentences, paragraphs, sentences, to_words

REFERENCE = """The "del" statement
*******************

   del_stmt ::= "del" target_list

Deletion is recursively defined very similar to the way assignment is
defined. Rather than spelling it out in full details, here are some
hints.

   >>> del a[0]
   Traceback (most recent call last):

object.__delitem__(self, key)

   Called to implement deletion of "self[key]" by the "__delitem__()" method.
   It isn\u2019t called twice (see [1], e.g. PEP 3115).

   Changed in version 3.2: Previously it was illegal to delete a name.

* A built-
  in list has 2 items.
"""


def test_sentences_are_kept_and_code_headings_and_signatures_are_not():
    assert [" ".join(words) for words in sentences(REFERENCE)] == [
        "deletion is recursively defined very similar to the way assignment is defined",
        "rather than spelling it out in full details here are some hints",
        "called to implement deletion of <unk> by the delitem method",
        "it is n't called twice see e.g. pep N",
        "previously it was illegal to delete a name",
        "a built-in list has N items",
    ]


def test_a_sentence_of_mostly_code_is_left_out():
    assert list(sentences('The "x + y" or "y + x" operator.')) == []


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ('The class "object.__init__()" runs.', "the class init runs"),
        ('The name "sys.last_traceback" or "x[0]".', "the name <unk> or <unk>"),
        ("The *args* and **kwargs**, (both).", "the args and kwargs both"),
        ("Version 3.11 has 1,000 and -5 items.", "version N has N and N items"),
        ("One can\u2019t; it\u2019s the object's own.", "one ca n't it 's the object 's own"),
        ("Lists \u2014 and tuples -- differ...", "lists and tuples differ"),
        ("The key/value pairs, i.e. items, etc.", "the key/value pairs i.e. items etc."),
        ('A "name"\u2019s value is "0".', "a name 's value is N"),
        ("Text in utf-8 or C++ [2].", "text in <unk> or <unk>"),
    ],
)
def test_words_follow_the_treebank(sentence, words):
    assert " ".join(to_words(sentence)) == words


def test_an_abbreviation_ends_no_sentence():
    assert list(cut_sentences("Use it, e.g. Python. Then (see below.) Stop!")) == [
        "Use it, e.g. Python.",
        "Then (see below.)",
        "Stop!",
    ]


def test_a_change_of_indentation_or_a_list_marker_begins_a_paragraph():
    text = "Term\n   Its body\n   goes on.\n\n1. One\n   more.\n2. Two."
    assert list(paragraphs(text)) == ["Term", "Its body goes on.", "One more.", "Two."]
