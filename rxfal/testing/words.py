"""Two voices that write about a prompt: small grammars, the same text for the same prompt; no I/O, no pace."""

import random
import re
from collections.abc import Iterator

__all__ = ["prose", "tokens", "verse"]

_STOPWORDS = frozenset(
    """about after again all also and any are been before being between but can could describe did does doing down
    explain for from give had has have haiku her here him his how into its just let like line long make may more most
    much not now off one only other our out over paragraph per please poem put say see sentence she short should some
    story such tell than that the their them then there these they this those through too under use very want was way
    what when where which while who why will with word words would write you your""".split()  # noqa: SIM905  a list of one word a line helps nobody
)

_OPENINGS = (
    "Most of us hear about {topic} early and understand it late.",
    "There is a quiet way to think about {topic}, and it starts with patience.",
    "Ask three experts about {topic} and you will hear four opinions.",
    "Nobody is born with a feeling for {topic}; it grows, mostly when we look elsewhere.",
)
_MIDDLES = (
    "From a distance it looks simple; up close, a thought about {topic} is made of many small decisions.",
    "What matters in practice is less the theory of {topic} than the habit of looking again.",
    "Careful work on {topic} leaves traces: a steady rhythm, a clear edge, something you can lean on.",
    "People who live with {topic} every day speak of it the way sailors speak of weather.",
    "Take away everything that has nothing to do with {topic}, and surprisingly much remains.",
    "The hard part of {topic} is rarely the beginning; it is the long middle.",
    "Every tool for {topic} carries the memory of the problem that it was made for.",
    "It helps to sketch {topic} on paper once, badly, and then to throw the paper away.",
)
_CLOSINGS = (
    "So begin small, keep notes, and let {topic} set the pace.",
    "In the end {topic} will reward those who stay curious a little longer than they need to.",
    "There is not much more to say about {topic}, and it is quite enough for a lifetime.",
)

_COUPLETS = (
    ("I walked with {topic} down to the shore,", "and the tide came in and asked for more."),
    ("The moon leaned close to hear the tale", "of {topic} riding before the gale."),
    ("Who taught {topic} to sing so low,", "when all the lamps were white with snow?"),
    ("A lantern swung, a door stood wide,", "with {topic} waiting on either side."),
    ("The clock struck one, the kettle sang,", "for {topic} all the small bells rang."),
    ("Let others count the stars in flight,", "give me {topic} and half the night."),
    ("Oh {topic}, lend me your lightest shoe,", "the road is long and the dawn is new."),
    ("The garden kept its secrets well,", "till {topic} came with a thing to tell."),
    ("They sought it east, they sought it west,", "but found {topic} asleep in the nest."),
)


def prose(prompt: str) -> str:
    """A thoughtful paragraph about the prompt's own words.

    Examples:
        >>> prose("the history of lighthouses") == prose("the history of lighthouses")
        True
    """
    rng = random.Random(f"prose {prompt}")
    sentences = [rng.choice(_OPENINGS), *rng.sample(_MIDDLES, 4), rng.choice(_CLOSINGS)]
    return " ".join(_filled(sentences, prompt, rng))


def verse(prompt: str) -> str:
    """Four rhymed couplets in which the prompt's own words come up.

    Examples:
        >>> len(verse("the history of lighthouses").splitlines())
        8
    """
    rng = random.Random(f"verse {prompt}")
    lines = [line for couplet in rng.sample(_COUPLETS, 4) for line in couplet]
    return "\n".join(_filled(lines, prompt, rng))


def tokens(text: str) -> list[str]:
    """The text in pieces of the size that language models emit; joined they are the text.

    Examples:
        >>> tokens("Lighthouses, at night.")
        ['Lightho', 'uses', ',', ' at', ' night', '.']
    """
    return re.findall(r"\s*\w{1,7}|\s*[^\w\s]|\s+", text)


def _filled(sentences: list[str], prompt: str, rng: random.Random) -> Iterator[str]:
    topics = _topics(prompt)
    rng.shuffle(topics)
    used = 0
    for sentence in sentences:
        if "{topic}" in sentence:
            sentence = sentence.replace("{topic}", topics[used % len(topics)])
            used += 1
        yield sentence[0].upper() + sentence[1:]


def _topics(prompt: str) -> list[str]:
    """The prompt's telling words, each with the article that stands before it."""
    found = re.findall(r"((?:\b(?:the|an?)\s+)?)([^\W\d_]{3,})", prompt.lower())
    topics = dict.fromkeys(article + word for article, word in found if word not in _STOPWORDS)
    return list(topics)[:4] or ["the unsaid"]
