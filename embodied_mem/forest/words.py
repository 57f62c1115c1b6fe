"""What a caption speaks of: its content words and pairs of them, without what it says is not there.

No model and no dictionary: common words, and the words in which captions speak of themselves ("the scene depicts"), are
listed here; "no pedestrians or signs are visible" speaks of no pedestrian and no sign.
"""

from __future__ import annotations

import re
from functools import lru_cache

from embodied_mem.objects.labels import singular

_COMMON = frozenset(
    "a about above across add added adding adds adjacent after against ahead all along alongside also although "  # noqa: SIM905
    "am ambiance amid among an and another any appear appearance appearing appears are area areas around as at "
    "atmosphere away back background be because been being beside between beyond both bottom but by can "
    "captured captures center central centre character clear clearly close closer contribute contributes "
    "contributing could create creates creating day depict depicted depicting depicts different directly "
    "display displaying displays distance distant do down during each either element elements enhance enhances "
    "enhancing environment even extend extending extends far feature featured features featuring feel few "
    "flank flanked flanking for foreground from front further gently give given gives giving has have having "
    "he her here hint hints his home i if image in include included includes including indicate indicated "
    "indicates indicating into is it its just kind label labeled labelled labels large larger lead leading "
    "leads left legible less like likely line lined lines lining little located long made main many mark "
    "marked may middle mix more most mostly multiple name near nearby next nor not notable number object "
    "objects occasional of off on one only onto opposite or other others out outside over overall panorama "
    "part partially partly per perhaps portion position positioned possibly presence present prominent "
    "prominently provide provided provides providing reach reading reads right run running runs same scattered "
    "scene see seem seems seen sense set setting several she show showing shown shows side sides sign signs "
    "similar single situated slightly small smaller so some something space stand standing stands still "
    "stretch stretches stretching style such suggest suggested suggesting suggests surround surrounded "
    "surrounding surroundings text texts than that the their them then there these they this those three "
    "through throughout time to together too top touch toward towards two type typical under up upon upper "
    "various very via vibe view viewed views visible was we well were what when where which while who whole "
    "wide with within word you your".split()
)
_ABSENT = re.compile(
    r"\b(?:no|without|free (?:of|from)|lacks?|absence of|devoid of|not|neither|nor|aren't|isn't|don't|unreadable)\b"
    r"[^.;:]*?(?=[.;:]|, (?:but|and|with|while|adding|giving|which)\b| but | though | while |$)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“”]([^\"“”]{2,60})[\"“”]")
_WORD = re.compile(r"[^\W\d_](?:[\w’'-]*\w)?")
_BREAK = re.compile(r"[.,;:!?()\[\]—–\"“”]+")


def asserted(caption: str) -> str:
    """The caption without the clauses that say what is not there."""
    return _ABSENT.sub(" ", caption)


def terms(caption: str) -> tuple[str, ...]:
    """The different terms of a caption, in order: words in the singular, pairs of neighbours, and what signs say.

    A sign's words stand in quotes: '"ridgewood trail"'.
    """
    said = asserted(caption)
    found: dict[str, None] = {}
    for quoted in _QUOTED.findall(said):
        words = " ".join(_WORD.findall(quoted.lower()))
        if words:
            found[f'"{words}"'] = None
    for part in _BREAK.split(_QUOTED.sub(" . ", said)):
        before = ""
        for word in _WORD.findall(part.lower()):
            term = _normal(word)
            if term:
                found[term] = None
                if before:
                    found[f"{before} {term}"] = None
            before = term
    return tuple(found)


@lru_cache(maxsize=50_000)
def _normal(word: str) -> str:
    """A content word in the singular; "" for a common one."""
    if word in _COMMON or len(word) < 3:
        return ""
    single = singular(word)
    return "" if single in _COMMON else single


def first_sentence(caption: str, most: int = 160) -> str:
    """The first sentence, cut at a word where it is long."""
    text = re.split(r"(?<=[.!?])\s", caption.strip(), maxsplit=1)[0]
    return text if len(text) <= most else text[: most - 3].rsplit(" ", 1)[0] + "..."
