"""Words for things: which labels a word may mean. A cup is a mug, a mug is not a bowl."""

from __future__ import annotations

from collections.abc import Iterable

# Each line names one kind of thing. Detectors and people use different words for it.
_SAME = (
    ("sofa", "couch", "settee"),
    ("tv", "television", "tvmonitor", "tv monitor", "monitor", "screen"),
    ("refrigerator", "fridge"),
    ("mug", "cup", "coffee cup", "teacup"),
    ("table", "dining table", "diningtable", "kitchen table"),
    ("bookshelf", "bookcase", "book shelf"),
    ("wardrobe", "closet"),
    ("plant", "potted plant", "pottedplant", "houseplant"),
    ("phone", "cell phone", "cellphone", "mobile phone", "smartphone"),
    ("remote", "remote control", "tv remote"),
    ("laptop", "notebook computer"),
    ("teddy bear", "teddy", "stuffed bear"),
    ("trash can", "bin", "trash bin", "garbage can", "dustbin", "waste basket", "wastebasket"),
    ("backpack", "rucksack", "school bag"),
    ("cabinet", "cupboard"),
    ("bathtub", "bath", "tub"),
    ("nightstand", "bedside table", "night stand"),
    ("tv stand", "television stand", "tv bench"),
    ("airplane", "aeroplane", "plane"),
    ("motorcycle", "motorbike"),
    ("person", "people", "human", "man", "woman"),
)
_IRREGULAR = {
    "mice": "mouse", "people": "person", "knives": "knife", "shelves": "shelf", "bookshelves": "bookshelf",
    "vases": "vase", "glasses": "glasses", "scissors": "scissors", "shoes": "shoe", "keys": "keys", "lamps": "lamp",
}  # fmt: skip
_GROUP = {name: names for names in _SAME for name in names}


def singular(word: str) -> str:
    """The singular of an English noun phrase, near enough: its last word is put in the singular."""
    head, _, last = word.strip().lower().rpartition(" ")
    return f"{head} {_singular(last)}".strip()


def same_kind(word: str) -> tuple[str, ...]:
    """The word in the singular, and every other word for the same kind of thing."""
    for form in (word.strip().lower(), singular(word)):
        if form in _GROUP:
            return _GROUP[form]
    return tuple(dict.fromkeys((singular(word), word.strip().lower())))


def meant(word: str, known: Iterable[str], vocabularies: Iterable[Iterable[str]] = ()) -> tuple[str, ...]:
    """Which of the known labels a word means: itself, its synonyms, and known labels that differ only in number.

    vocabularies  the classes of each detector: one that knows both "tv" and "monitor" means different things by them
    """
    wanted = set(same_kind(word))
    itself = {word.strip().lower(), singular(word)}
    others: set[str] = set()
    for classes in vocabularies:
        if not itself.isdisjoint(classes):
            others |= set(classes) - itself
    return tuple(
        label for label in known if label in itself or (label not in others and not wanted.isdisjoint(same_kind(label)))
    )


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ses", "xes", "ches", "shes")) and not word.endswith(("uses", "ases", "oses")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word


# How long a thing stays where it is put, in seconds, before the log has taught better.
_DAY = 86_400.0
_FURNITURE = (
    "sofa", "bed", "wardrobe", "refrigerator", "cabinet", "bookshelf", "shelf", "bathtub", "toilet", "sink", "stove",
    "oven", "dresser", "desk", "table", "coffee table", "tv stand", "nightstand", "counter", "countertop", "door",
    "window", "washing machine", "dishwasher", "fireplace", "microwave", "tv", "armchair", "bench", "drawer",
)  # fmt: skip
_RESTLESS = ("person", "cat", "dog", "bird")


def lasting(label: str) -> float:
    """Mean time in seconds after which a thing of this label has left its place: a sofa outlives a mug."""
    names = same_kind(label)
    if not set(names).isdisjoint(_FURNITURE):
        return 100 * _DAY
    return 60.0 if not set(names).isdisjoint(_RESTLESS) else _DAY


# What a thing can be shut in. A detector's camel case ("GarbageCan") is not looked through.
_CLOSING = (
    "refrigerator", "cabinet", "microwave", "drawer", "safe", "box", "wardrobe", "dishwasher", "oven",
    "washing machine", "trash can", "chest", "suitcase", "backpack", "handbag", "dresser", "nightstand",
)  # fmt: skip


def can_hold(label: str) -> bool:
    """Whether things may be shut inside of a thing of this label."""
    return not set(same_kind(label)).isdisjoint(_CLOSING)
