"""Questions in many words, and the typed queries that they become."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError
from embodied_mem.recall.grammar import MAX_WORDS, Place, Question, parse
from embodied_mem.recall.patterns import compiled


def near(anchor: str, radius: float | None = None) -> Place:
    return Place("near", anchor, radius)


def at(x: float, y: float, z: float = 0.0, radius: float | None = None) -> Place:
    return Place("near", "", radius, (x, y, z))


HERE = Place("here")
_SOUP = (
    "where is the a mug on in near before after last 5 min yesterday between 9:00 9999-12-31 and 10 how many are there "
    "did you see what when within m of (1,2) here still describe find me to from was been moved record 12 please"
)
WORDS = tuple(_SOUP.split())
YESTERDAY, LAST_HOUR = "yesterday", "in the last hour"

QUESTIONS: dict[str, Question] = {
    # where
    "where is the mug?": Question("where", "mug"),
    "Where's my mug?": Question("where", "mug"),
    "WHERE IS THE MUG": Question("where", "mug"),
    "where are my keys": Question("where", "keys"),
    "where is the red mug now?": Question("where", "red mug"),
    "Hey robot, where is the laptop?": Question("where", "laptop"),
    "Can you tell me where the laptop is?": Question("where", "laptop"),
    "do you know where the sofa is": Question("where", "sofa"),
    "tell me where the plant is, please": Question("where", "plant"),
    "I want to know where the plant is.": Question("where", "plant"),
    "where has the mug been moved to?": Question("where", "mug"),
    "where did the chair go?": Question("where", "chair"),
    "where did you last see the cat?": Question("where", "cat"),
    "what is the location of the fridge?": Question("where", "fridge"),
    "what's the position of the lamp now?": Question("where", "lamp"),
    "where would you look for a spoon?": Question("where", "spoon"),
    "where can I find a towel?": Question("where", "towel"),
    "where did you see a plant yesterday?": Question("where", "plant", None, YESTERDAY),
    "where was the mug yesterday morning?": Question("where", "mug", None, "yesterday morning"),
    "where was the backpack 10 minutes ago?": Question("where", "backpack", None, "10 minutes ago"),
    "where was the chair before 9:00?": Question("where", "chair", None, "before 9:00"),
    "where was the mug before record 12?": Question("where", "mug", None, "before record 12"),
    "yesterday, where was the mug?": Question("where", "mug", None, YESTERDAY),
    # where, before it was moved
    "where was the mug before?": Question("where", "mug", tense="before"),
    "where was the mug before it was moved?": Question("where", "mug", tense="before"),
    "where was the vase before someone moved it?": Question("where", "vase", tense="before"),
    "where was the vase originally?": Question("where", "vase", tense="before"),
    "where did the mug use to be?": Question("where", "mug", tense="before"),
    "what was the previous place of the vase?": Question("where", "vase", tense="before"),
    # find
    "find the mug": Question("find", "mug"),
    "find me a chair": Question("find", "chair"),
    "please find the nearest chair": Question("find", "chair"),
    "I am looking for the remote control": Question("find", "remote control"),
    "look for a plant in the kitchen": Question("find", "plant", Place("in", "kitchen")),
    "could you find my phone?": Question("find", "phone"),
    "bring me the bottle": Question("find", "bottle"),
    "take me to the sofa": Question("find", "sofa"),
    "can you take me to the fridge?": Question("find", "fridge"),
    "go to the kitchen table": Question("find", "kitchen table"),
    "show me the lamp": Question("find", "lamp"),
    "locate a fire extinguisher": Question("find", "fire extinguisher"),
    "search for a book on the shelf": Question("find", "book", Place("on", "shelf")),
    "find a bottle within 2 m of the sofa": Question("find", "bottle", near("sofa", 2.0)),
    "find a bottle within 50 cm of the sofa": Question("find", "bottle", near("sofa", 0.5)),
    "find a cup near (1.5, 2.0)": Question("find", "cup", at(1.5, 2.0)),
    "find a cup near (1.5, -2.0, 0.8) from the last hour": Question(
        "find", "cup", at(1.5, -2.0, 0.8), "from the last hour"
    ),
    "find a cup within 3 metres of 4 5 1": Question("find", "cup", at(4, 5, 1, 3.0)),
    # when
    "when did you last see the mug?": Question("when", "mug", tense="last"),
    "when did you see the mug": Question("when", "mug", tense="last"),
    "when was the lamp last seen?": Question("when", "lamp", tense="last"),
    "how long ago did you see the cat?": Question("when", "cat", tense="last"),
    "at what time did you see the postman?": Question("when", "postman", tense="last"),
    "when did you first see the dog?": Question("when", "dog", tense="first"),
    "when was the vase first seen?": Question("when", "vase", tense="first"),
    "when did you see the mug on the table?": Question("when", "mug", Place("on", "table"), tense="last"),
    "when did you see a person yesterday?": Question("when", "person", None, YESTERDAY, "last"),
    # how many
    "how many chairs are there?": Question("how_many", "chairs"),
    "how many mugs did you see?": Question("how_many", "mugs"),
    "how many chairs are in the kitchen?": Question("how_many", "chairs", Place("in", "kitchen")),
    "how many chairs are there in the kitchen?": Question("how_many", "chairs", Place("in", "kitchen")),
    "how many bottles are on the table?": Question("how_many", "bottles", Place("on", "table")),
    "how many people did you see yesterday?": Question("how_many", "people", None, YESTERDAY),
    "how many plants have you seen in the last hour?": Question("how_many", "plants", None, LAST_HOUR),
    "count the chairs": Question("how_many", "chairs"),
    "count all chairs near the table": Question("how_many", "chairs", near("table")),
    "what is the number of lamps?": Question("how_many", "lamps"),
    "how many cups are within 1 m of the sink?": Question("how_many", "cups", near("sink", 1.0)),
    "how many chairs are near me?": Question("how_many", "chairs", HERE),
    # is there
    "is there a mug?": Question("is_there", "mug"),
    "is there a mug on the table?": Question("is_there", "mug", Place("on", "table")),
    "is the laptop on the desk?": Question("is_there", "laptop", Place("on", "desk")),
    "are there any chairs in the hall?": Question("is_there", "chairs", Place("in", "hall")),
    "is there a bag under the bed?": Question("is_there", "bag", Place("under", "bed")),
    "is there a fire extinguisher nearby?": Question("is_there", "fire extinguisher", HERE),
    "is the mug still there?": Question("is_there", "mug", tense="still"),
    "is the mug still on the table?": Question("is_there", "mug", Place("on", "table"), tense="still"),
    "is there still a plant here?": Question("is_there", "plant", HERE, tense="still"),
    "Is the vase there, please?": Question("is_there", "vase"),
    "have you seen my phone?": Question("is_there", "phone"),
    "have you ever seen a dog?": Question("is_there", "dog"),
    "did you see a cat yesterday?": Question("is_there", "cat", None, YESTERDAY),
    "was there a vase on the shelf yesterday?": Question("is_there", "vase", Place("on", "shelf"), YESTERDAY),
    "have you seen the umbrella in the last hour?": Question("is_there", "umbrella", None, LAST_HOUR),
    "do you have a knife": Question("is_there", "knife"),
    "does the house have a washing machine?": Question("is_there", "washing machine"),
    "is there a sofa in the house?": Question("is_there", "sofa"),
    # describe
    "what is on the table?": Question("describe", place=Place("on", "table")),
    "what's on the desk?": Question("describe", place=Place("on", "desk")),
    "what is under the bed?": Question("describe", place=Place("under", "bed")),
    "what did you see in the kitchen?": Question("describe", place=Place("in", "kitchen")),
    "what things are near the sofa?": Question("describe", place=near("sofa")),
    "what objects are there in the hall?": Question("describe", place=Place("in", "hall")),
    "describe the kitchen": Question("describe", place=near("kitchen")),
    "what does the kitchen look like?": Question("describe", place=near("kitchen")),
    "describe the area around the bed": Question("describe", place=near("bed")),
    "list everything near the window": Question("describe", place=near("window")),
    "what can be seen around (2, 3)?": Question("describe", place=at(2, 3)),
    "what is here?": Question("describe", place=HERE),
    "what is around you?": Question("describe", place=HERE),
    "describe what you see here": Question("describe", place=HERE),
    "describe the surroundings": Question("describe", place=HERE),
    "what did you see yesterday?": Question("describe", when=YESTERDAY),
    "what was on the table yesterday?": Question("describe", place=Place("on", "table"), when=YESTERDAY),
    "describe the house": Question("describe"),
    "what do you see?": Question("describe"),
}


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_becomes_its_query(text: str) -> None:
    assert parse(text) == QUESTIONS[text]


@pytest.mark.parametrize(
    "text",
    ["why is the sky blue?", "somewhere to sit down", "who left the door open", "red thing to drink from", "mug"],
)
def test_what_fits_no_pattern_is_searched_by_meaning(text: str) -> None:
    question = parse(text)
    assert not question.parsed and question.kind == "search"
    assert question.what == text.rstrip("?").lower()


@pytest.mark.parametrize("text", ["", "   ", "?", "...", " \n\t ?!"])
def test_an_empty_question_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="question is empty"):
        parse(text)


def test_an_endless_question_is_refused() -> None:
    with pytest.raises(BadInputError, match=f"over {MAX_WORDS} words"):
        parse("where is the mug " * MAX_WORDS)


def test_every_script_is_text() -> None:
    assert parse("where is the \u0645\u06cc\u200c\u0632?").what == "\u0645\u06cc\u200c\u0632"
    assert parse("where is the caf\u00e9 cup?").what == "caf\u00e9 cup"


@pytest.mark.parametrize("text", ["where is the \ud800 mug?", "where is\x00 the mug?"])
def test_what_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="decode it"):
        parse(text)


@settings(max_examples=300, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=60))
def test_any_words_become_a_query_or_are_refused_with_a_sentence(words: str) -> None:
    try:
        question = parse(words)
    except BadInputError as error:
        assert str(error).endswith(".")
        return
    assert question.kind and str(question)
    assert question.what or question.kind == "describe"


def test_a_query_says_what_it_is() -> None:
    assert str(parse("is there a mug within 2 m of the sofa yesterday?")) == (
        "is_there what='mug' where=near sofa within 2 m when='yesterday'"
    )
    assert str(parse("where was the mug before?")) == "where what='mug' tense=before"


def test_the_notation_of_patterns() -> None:
    pattern = compiled("find [me|us] (the|a) {what}")
    match = pattern.fullmatch("find me the red mug")
    assert match is not None and match["what"] == "red mug"
    assert pattern.fullmatch("find a mug") and not pattern.fullmatch("find mug")
    with pytest.raises(ValueError, match="cannot begin"):
        compiled("[me] {what}")
