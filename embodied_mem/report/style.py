"""Looks and behaviour of the report page."""

# How every page begins: fill in $title and $style.
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
"""

STYLE = """
:root { --ink: #1c2430; --soft: #5b6778; --line: #dfe4ec; --paper: #f6f8fb; --card: #fff; --path: #2b6cb0;
  --pin: #d9480f;
  --good: #2b8a3e; --bad: #c92a2a; --bar: #74a9d8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf2; --soft: #9aa7b8; --line: #2b3442; --paper: #10151d; --card: #19202b; --path: #6cb2ff;
  --pin: #ff8a4c;
    --good: #51cf66; --bad: #ff6b6b; --bar: #3f74a8; }
  svg.map image { filter: invert(1) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 1180px; margin: 0 auto; padding: 0 20px; }
header { display: flex; justify-content: space-between; align-items: center; gap: 20px; padding-top: 26px; }
h1 { margin: 0; font-size: 25px; letter-spacing: -.01em; }
h2 { margin: 0 0 8px; font-size: 16px; }
.subtitle { margin: 2px 0 0; color: var(--soft); }
.score { text-align: center; padding: 8px 20px; border-radius: 12px; border: 2px solid; white-space: nowrap; }
.score b { display: block; font-size: 26px; line-height: 1.2; } .score span { font-size: 12px; }
.score.good { color: var(--good); } .score.fair { color: var(--pin); } .score.poor { color: var(--bad); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px;
  margin: 16px 0; }
.facts { display: flex; flex-wrap: wrap; gap: 8px 34px; }
.facts b { display: block; font-size: 19px; } .facts span { color: var(--soft); font-size: 12.5px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 0 16px; }
.hint { color: var(--soft); font-size: 13px; margin: 0 0 8px; }
svg.map { width: 100%; height: auto; max-height: 86vh; display: block; }
svg.map .path { stroke: var(--path); opacity: .75; } svg.map .pose { fill: var(--path); opacity: .5; }
svg.map .way { stroke: #c05621; stroke-dasharray: 7 5; } svg.map .goal { fill: #c05621; }
svg.map .end { fill: var(--card); stroke: var(--path); stroke-width: 3; }
svg.map .end.start { fill: var(--path); }
svg.map .box { stroke-width: 1.6; }
svg.map .label { font-size: 11.5px; fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
svg.map .faded { opacity: .4; } svg.map .faded .box { stroke-dasharray: 4 3; }
svg.map .thing:hover { opacity: 1; } svg.map .thing:hover .label { font-weight: 700; }
svg.map .answer { visibility: hidden; } svg.map .answer.shown { visibility: visible; }
svg.map .pin { fill: var(--pin); stroke: var(--card); stroke-width: 1.5; }
svg.map .pin-number { fill: #fff; font-size: 10px; font-weight: 700; }
svg.map .sight { stroke: var(--pin); stroke-width: 1.2; stroke-dasharray: 5 4; opacity: .7; }
svg.map .seen-from { fill: var(--pin); stroke: var(--card); }
svg.map .ruler { stroke: var(--soft); stroke-width: 1.6; fill: none; }
svg.map .ruler-text { fill: var(--soft); font-size: 12px; }
svg.chart { width: 100%; max-width: 640px; height: auto; display: block; }
svg.chart .bar { fill: var(--bar); }
svg.chart .bar:hover { fill: var(--path); }
svg.chart .rail { stroke: var(--line); }
svg.chart .tick { fill: var(--soft); font-size: 11.5px; }
svg.chart .event { stroke: var(--pin); stroke-dasharray: 3 3; }
svg.chart .event-flag { fill: var(--pin); }
svg.chart .dot.right { fill: var(--good); }
svg.chart .dot.wrong { fill: var(--bad); }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; }
td, th { padding: 7px 8px; border-top: 1px solid var(--line); vertical-align: top; } thead th { border: 0; }
.asked tbody tr { cursor: pointer; }
.asked tbody tr:hover, .asked tbody tr.kept { background: color-mix(in srgb, var(--pin) 9%, transparent); }
.number { white-space: nowrap; color: var(--soft); }
.mark { font-weight: 700; }
.mark.right { color: var(--good); }
.mark.wrong { color: var(--bad); }
.kind, .expected, .reason { display: block; color: var(--soft); font-size: 12.5px; }
.place { color: var(--soft); font-size: 13px; }
.record { display: inline-block; border: 1px solid var(--line); border-radius: 6px; padding: 0 6px;
  margin: 0 4px 3px 0; font-size: 12.5px; }
.plain td, .plain th { padding: 3px 8px; font-size: 13.5px; } .right-align { text-align: right; }
details summary { cursor: pointer; }
details summary h2 { display: inline; }
ul { margin: 0; padding-left: 20px; }
a { color: var(--path); }
footer { color: var(--soft); font-size: 12.5px; padding-bottom: 30px; }
@media (max-width: 640px) { .columns { grid-template-columns: 1fr; } td, th { padding: 5px 4px; } }
@media print { svg.map .answer { visibility: visible; } section { break-inside: avoid; } }
"""

SCRIPT = """
let kept = null;
const rows = document.querySelectorAll('tr[data-question]');
function show(number) {
  document.querySelectorAll('g.answer').forEach(g => {
    g.classList.toggle('shown', number !== null && g.dataset.question === number);
  });
}
rows.forEach(row => {
  const number = row.dataset.question;
  const keep = () => {
    kept = kept === number ? null : number;
    rows.forEach(other => other.classList.toggle('kept', other.dataset.question === kept));
    show(kept);
    if (kept) document.querySelector('svg.map').scrollIntoView({behavior: 'smooth', block: 'nearest'});
  };
  row.addEventListener('mouseenter', () => show(number));
  row.addEventListener('mouseleave', () => show(kept));
  row.addEventListener('focus', () => show(number));
  row.addEventListener('click', keep);
  row.addEventListener('keydown', event => { if (event.key === 'Enter') keep(); });
});
"""
