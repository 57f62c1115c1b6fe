"""Captions made up by a grammar, for calibration: what robots say of rooms and streets, and what people ask.

They are the project's own: no recorded caption is in them, so that recorded ones remain for judging.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embodied_mem.perception.captions import plural


def _words(text: str) -> list[str]:
    return text.split("; ")


_THINGS = _words(
    "mug; chair; lamp; sofa; plant; table; bottle; book; laptop; backpack; umbrella; vase; clock; kettle; plate; "
    "bowl; spoon; knife; box; basket; towel; pillow; blanket; mirror; picture; curtain; carpet; shelf; drawer; "
    "cabinet; fridge; stove; oven; sink; toaster; printer; monitor; keyboard; mouse; telephone; remote; television; "
    "radiator; fan; heater; bin; ladder; hammer; screwdriver; drill; toolbox; cable; extinguisher; stretcher; "
    "wheelchair; trolley; crate; pallet; barrel; pump; valve; pipe; tank; robot; drone; camera; scanner; sensor; "
    "charger; battery; key; wallet; glove; shoe; jacket; hat; helmet; scarf; toy; ball; puzzle; guitar; piano; "
    "bicycle; scooter"
)
_ROOMS = _words(
    "kitchen; hall; bedroom; office; bathroom; garage; living room; workshop; laboratory; meeting room; corridor; "
    "stairwell; attic; basement; reception; canteen; library; classroom; warehouse; loading bay; ward; pharmacy; "
    "server room; nursery; balcony"
)
_OUTSIDE = _words(
    "bus stop; crossing; bakery; church; museum; playground; fountain; statue; parking lot; petrol station; bridge; "
    "tunnel; tramway; railway platform; market; cinema; theatre; hotel; restaurant; pharmacy; school; hospital; "
    "stadium; harbour; park; garden; greenhouse; cemetery; courtyard; construction site; roundabout; bicycle path; "
    "post office; town hall; fire station; supermarket; swimming pool; tennis court; vineyard; field; forest; "
    "river; lake; hill"
)
_LOOKS = _words(
    "red; green; blue; yellow; white; black; brown; grey; orange; purple; old; new; broken; dirty; clean; large; "
    "small; tall; narrow; wide; round; square; wooden; metal; plastic; glass; concrete; stone; brick; modern; "
    "empty; full; open; closed; shiny; dusty; worn; colourful; crowded; quiet; bright; dark"
)
_WHERE = _words(
    "next to; behind; in front of; on top of; under; near; opposite; left of; right of; between the wall and; "
    "beside; inside; across from"
)
_PEOPLE = _words(
    "man; woman; child; nurse; worker; cyclist; student; visitor; guard; cook; driver; tourist; dog; cat; bird"
)
_ACTIONS = _words(
    "walks; waits; sits; talks on the phone; carries a bag; reads a newspaper; cleans the floor; pushes a cart; "
    "repairs a door; crosses the road; looks out of the window; sleeps; eats lunch; waves; runs; opens a box; plays "
    "with a ball; takes a picture"
)
_SKIES = _words(
    "sunny; cloudy; rainy; foggy; snowy; windy; late in the evening; early in the morning; getting dark; lit by "
    "street lamps"
)
_SURFACES = _words(
    "asphalt; gravel; paved with stones; covered with leaves; wet; tiled; carpeted; made of wood; uneven; covered "
    "with grass"
)
_NAMES = _words(
    "Rosa; Adler; Linden; Mercator; Hopper; Turing; Curie; Bahnhof; Station; Harbour; Market; Mill; Church; Garden; "
    "King"
)


def made_captions(count: int, seed: int) -> list[str]:
    """`count` texts of 2 to some 120 words, the same for a seed."""
    rng = np.random.default_rng(seed)
    return [_caption(rng) for _ in range(count)]


def _caption(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.08:
        return _noun(rng)
    if kind < 0.25:
        return _question(rng)
    sentences = 1 if kind < 0.5 else int(rng.integers(2, 8))
    made = [_opening(rng), *(_sentence(rng) for _ in range(sentences - 1))]
    return " ".join(made)


def _one(rng: np.random.Generator, words: list[str]) -> str:
    return words[int(rng.integers(len(words)))]


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _noun(rng: np.random.Generator) -> str:
    thing = _one(rng, _THINGS)
    return f"{_one(rng, _LOOKS)} {thing}" if rng.random() < 0.5 else thing


def _place(rng: np.random.Generator) -> str:
    return _one(rng, _ROOMS if rng.random() < 0.5 else _OUTSIDE)


def _several(rng: np.random.Generator) -> str:
    count = int(rng.integers(2, 12))
    return f"{count if rng.random() < 0.3 else 'several'} {_one(rng, _LOOKS)} {plural(_one(rng, _THINGS))}"


def _question(rng: np.random.Generator) -> str:
    forms = (
        f"where is the {_noun(rng)}?",
        f"where did you last see {_with_article(_noun(rng))} in the {_place(rng)}?",
        f"how many {plural(_one(rng, _THINGS))} are in the {_place(rng)}?",
        f"find {_with_article(_place(rng))} near {_with_article(_place(rng))}",
        f"what is {_one(rng, _WHERE)} the {_noun(rng)}?",
        f"was there {_with_article(_one(rng, _PEOPLE))} in the {_place(rng)} yesterday?",
        f"take me to the {_place(rng)} with the {_noun(rng)}",
    )
    return forms[int(rng.integers(len(forms)))]


def _opening(rng: np.random.Generator) -> str:
    forms = (
        f"I see {_with_article(_noun(rng))}, {_with_article(_noun(rng))} and {_several(rng)} in the {_place(rng)}.",
        f"This is {_with_article(_one(rng, _LOOKS))} {_place(rng)} with {_several(rng)}.",
        f"The picture shows {_with_article(_place(rng))} {_one(rng, _WHERE)} {_with_article(_place(rng))}.",
        f"{_with_article(_noun(rng)).capitalize()} stands {_one(rng, _WHERE)} the {_noun(rng)}.",
        f"A {_one(rng, _LOOKS)} street with {_with_article(_place(rng))} on the left and {_several(rng)} on the right.",
    )
    return forms[int(rng.integers(len(forms)))]


def _sentence(rng: np.random.Generator) -> str:
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"There is {_with_article(_noun(rng))} {_one(rng, _WHERE)} the {_noun(rng)}.",
        lambda: f"{_with_article(_one(rng, _PEOPLE)).capitalize()} {_one(rng, _ACTIONS)} {_one(rng, _WHERE)} it.",
        lambda: f"The ground is {_one(rng, _SURFACES)}, and it is {_one(rng, _SKIES)}.",
        lambda: f"On the wall hangs {_with_article(_noun(rng))}; below it are {_several(rng)}.",
        lambda: f'A sign reads "{_one(rng, _NAMES)} {_one(rng, _NAMES)} {int(rng.integers(1, 400))}".',
        lambda: f"In the background one can see {_with_article(_place(rng))} and some {_one(rng, _LOOKS)} buildings.",
        lambda: f"The {_noun(rng)} has been moved about {rng.uniform(0.2, 9):.1f} metres since the last visit.",
        lambda: f"To the right, the {_place(rng)} is {_one(rng, _LOOKS)} and {_one(rng, _LOOKS)}.",
        lambda: f"Trees, {plural(_one(rng, _THINGS))} and parked cars line the way to the {_place(rng)}.",
    )
    return forms[int(rng.integers(len(forms)))]()
