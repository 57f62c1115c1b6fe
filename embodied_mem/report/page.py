"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from embodied_mem.cli.shape import age_words, place_words
from embodied_mem.exchange.output import whole_file
from embodied_mem.report import charts
from embodied_mem.report.map_view import map_svg
from embodied_mem.report.model import Asked, Report
from embodied_mem.report.style import HEAD, SCRIPT, STYLE

_PAGE = Template(
    HEAD
    + """<header>
<div><h1>$title</h1><p class="subtitle">$subtitle</p></div>
$score
</header>
<main>
<section class="facts">$facts</section>
<section class="wide"><h2>What memory knows, from above</h2>
<p class="hint">$hint</p>
$map</section>
$asked
<div class="columns">$figures</div>
$things
$files
</main>
<footer>Every answer names the records that it rests on. Drawn from memory alone: the truth only marks answers right
or wrong.</footer>
<script>$script</script>
</body>
</html>
"""
)


def write_page(report: Report, path: Path) -> None:
    """Write the page. Raises StorageError."""
    with whole_file(path) as temporary:
        temporary.write_text(page_of(report), encoding="utf-8")


def page_of(report: Report) -> str:
    """The page as text."""
    return _PAGE.substitute(
        title=escape(report.title),
        subtitle=escape(report.subtitle),
        style=STYLE,
        script=SCRIPT,
        score=_score(report),
        facts="".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in report.facts),
        hint=_hint(report),
        map=map_svg(report),
        asked=_asked(report),
        figures=_figures(report),
        things=_things(report),
        files=_files(report),
    )


def _score(report: Report) -> str:
    if not report.judged:
        return ""
    share = report.right / len(report.judged)
    word = "good" if share >= 0.9 else "fair" if share >= 0.7 else "poor"
    return f'<div class="score {word}"><b>{report.right}/{len(report.judged)}</b><span>answers right</span></div>'


def _hint(report: Report) -> str:
    words = ["Line: the robot's path. Boxes: things that memory located (faint: not sure that they are still there)."]
    if report.ground is not None:
        words.append("Grey: surfaces that were seen, pale: space that was seen to be free.")
    if report.way is not None:
        words.append(f"Dashed: the way to a pose from which the thing of answer {report.way.number} is seen.")
    if report.asked:
        words.append("Point at a question below to see its answer and the poses it was seen from; click to keep it.")
    return " ".join(words)


def _asked(report: Report) -> str:
    if not report.asked:
        return ""
    rows = "".join(_row(number, item) for number, item in enumerate(report.asked, start=1))
    return (
        '<section class="wide"><h2>Questions and answers</h2><table class="asked"><thead><tr><th></th><th>question</th>'
        "<th>answer</th><th>p</th><th>evidence</th></tr></thead><tbody>" + rows + "</tbody></table></section>"
    )


def _row(number: int, item: Asked) -> str:
    mark = {True: '<span class="mark right">✓</span>', False: '<span class="mark wrong">✗</span>', None: ""}[item.right]
    answer = item.answer
    sentence = escape(answer["sentence"] or answer["reason"])
    place = (
        f'<span class="place">{place_words(answer["pose"]["position"])}</span>'
        if answer.get("pose") and answer["found"]
        else ""
    )
    expected = f'<span class="expected">expected: {escape(item.expected)}</span>' if item.expected else ""
    reason = (
        f'<span class="reason">{escape(answer["reason"])}</span>' if answer["reason"] and answer["sentence"] else ""
    )
    kinds = " · ".join(word for word in (item.kind, item.said) if word)
    return (
        f'<tr data-question="{number}" tabindex="0"><td class="number">{number} {mark}</td>'
        f'<td>{escape(item.question)}<span class="kind">{escape(kinds)}</span></td>'
        f"<td>{sentence} {place}{expected}{reason}</td><td>{answer['probability']:.2f}</td>"
        f"<td>{_evidence(item)}</td></tr>"
    )


def _evidence(item: Asked) -> str:
    evidence = item.answer.get("evidence", [])
    if not evidence:
        return '<span class="reason">none</span>'
    shown = "".join(
        f'<span class="record" title="{escape(entry["caption"] or ", ".join(entry["labels"]), quote=True)} '
        f'({age_words(entry["age_s"])} ago)">{entry["seq"]}</span>'
        for entry in evidence[:6]
    )
    more = f'<span class="reason">and {len(evidence) - 6} more</span>' if len(evidence) > 6 else ""
    return shown + more


def _figures(report: Report) -> str:
    figures = [
        ("Records over time", charts.records_over_time(report), "Flags: things that happened in the world."),
        (
            "How sure, and how right",
            charts.probabilities(report),
            "Each dot is an answer, at the probability it was given.",
        ),
        ("Time to answer", charts.answer_times(report), "From asking to the answer, through the service."),
        ("Where the time went", charts.phases(report), ""),
        ("Counters", _counters(report), "Refused, folded and dropped; nothing is lost without being counted."),
    ]
    return "".join(
        f"<section><h2>{name}</h2>{drawing}<p class='hint'>{words}</p></section>"
        for name, drawing, words in figures
        if drawing
    )


def _counters(report: Report) -> str:
    if not report.counters:
        return ""
    rows = [(escape(name), f"{count:,}") for name, count in report.counters]
    return f'<table class="plain counters">{_cells(rows)}</table>'


def _things(report: Report) -> str:
    if not report.things:
        return ""
    rows = _cells(
        (
            escape(thing.label),
            place_words(list(thing.position)),
            escape(thing.state),
            f"{thing.belief:.2f}",
            str(len(thing.seqs)),
        )
        for thing in sorted(report.things, key=lambda thing: (thing.label, -thing.belief))
    )
    return (
        f'<section class="wide"><details><summary><h2>{len(report.things)} located things</h2></summary>'
        '<table class="plain">'
        "<tr><th>label</th><th>position, m</th><th>state</th><th>belief</th><th>records</th></tr>"
        f"{rows}</table></details></section>"
    )


def _files(report: Report) -> str:
    if not report.files:
        return ""
    items = "".join(
        f'<li><a href="{escape(name, quote=True)}">{escape(name)}</a> {escape(what)}</li>'
        for name, what in report.files
    )
    return f'<section class="wide"><h2>Files beside this page</h2><ul>{items}</ul></section>'


def _cells(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of a table; the cells are HTML already."""
    return "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
