"""Looks and behaviour of the forest's page."""

STYLE = r"""
main.forest { display: grid; grid-template-columns: minmax(300px, 2fr) 3fr; gap: 0 16px; align-items: start; }
.walk { max-height: 88vh; overflow: auto; position: sticky; top: 8px; }
.walk input { width: 100%; padding: 6px 9px; border: 1px solid var(--line); border-radius: 8px;
  background: var(--paper); color: var(--ink); font: inherit; }
.walk label { font-size: 13px; color: var(--soft); }
#tree, #tree ul { list-style: none; margin: 0; padding-left: 14px; } #tree { padding-left: 0; }
#tree [role=treeitem] { outline: none; }
#tree .row { display: flex; gap: 6px; padding: 2px 6px; border-radius: 6px; cursor: pointer; align-items: baseline; }
#tree .row::before { content: "\25B8"; width: 1em; color: var(--soft); }
#tree [aria-expanded=true] > .row::before { content: "\25BE"; }
#tree .leafy > .row::before { content: "\00B7"; }
#tree .row:hover { background: color-mix(in srgb, var(--path) 9%, transparent); }
#tree [aria-selected=true] > .row { background: color-mix(in srgb, var(--path) 20%, transparent); }
#tree [role=treeitem]:focus > .row { box-shadow: 0 0 0 2px var(--path); }
#tree .hit > .row .words { font-weight: 700; color: var(--pin); }
#tree .count { color: var(--soft); font-size: 12px; margin-left: auto; white-space: nowrap; }
#map { width: 100%; height: auto; max-height: 60vh; background: var(--paper); border-radius: 8px; margin: 8px 0 14px; }
#map .far { fill: var(--soft); opacity: .28; } #map .near { fill: var(--path); opacity: .85; }
#map .named { fill: var(--pin); stroke: var(--card); stroke-width: 1.5; }
#sentences li { margin-bottom: 6px; } .proof { color: var(--soft); font-size: 12.5px; display: block; }
.term { display: grid; grid-template-columns: 9em 1fr 8em; gap: 8px; align-items: center; font-size: 13.5px; }
.term i { display: block; height: 9px; background: var(--bar); border-radius: 3px; }
.term b { font-weight: 400; color: var(--soft); font-size: 12.5px; }
#terms { margin-bottom: 14px; } #records { font-size: 13.5px; max-height: 40vh; overflow: auto; }
@media (max-width: 800px) { main.forest { grid-template-columns: 1fr; } .walk { position: static; max-height: 45vh; } }
"""

SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent);
const children = data.nodes.map(() => []);
data.nodes.forEach((node, i) => { if (node.parent >= 0) children[node.parent].push(i); });
const items = new Map();
const byId = id => document.getElementById(id);
const make = (tag, words, kind) => {
  const out = document.createElement(tag);
  if (words !== undefined) out.textContent = words;
  if (kind) out.className = kind;
  return out;
};
function item(i) {
  const node = data.nodes[i], li = make('li');
  li.setAttribute('role', 'treeitem');
  li.setAttribute('aria-level', depth(i));
  li.setAttribute('aria-selected', 'false');
  li.tabIndex = -1;
  li.dataset.node = i;
  const row = make('div', undefined, 'row');
  row.append(make('span', node.name, 'words'), make('span', node.records.toLocaleString(), 'count'));
  li.append(row);
  if (children[i].length) li.setAttribute('aria-expanded', 'false'); else li.classList.add('leafy');
  row.addEventListener('click', () => { toggle(i); select(i); });
  items.set(i, li);
  return li;
}
function depth(i) { let n = 1; while ((i = data.nodes[i].parent) >= 0) n++; return n; }
function open(i) {
  const li = items.get(i);
  if (!children[i].length || li.getAttribute('aria-expanded') === 'true') return;
  li.setAttribute('aria-expanded', 'true');
  const list = make('ul');
  list.setAttribute('role', 'group');
  children[i].forEach(child => list.append(item(child)));
  li.append(list);
}
function shut(i) {
  const li = items.get(i);
  if (li.getAttribute('aria-expanded') !== 'true') return;
  li.setAttribute('aria-expanded', 'false');
  li.querySelectorAll('[role=treeitem]').forEach(below => items.delete(Number(below.dataset.node)));
  li.lastElementChild.remove();
}
function toggle(i) { items.get(i).getAttribute('aria-expanded') === 'true' ? shut(i) : open(i); }
function reveal(i) {
  const above = [];
  for (let up = data.nodes[i].parent; up >= 0; up = data.nodes[up].parent) above.unshift(up);
  above.forEach(open);
}
let chosen = -1;
function select(i, focus = true) {
  reveal(i);
  const old = items.get(chosen);
  if (old) { old.setAttribute('aria-selected', 'false'); old.tabIndex = -1; }
  chosen = i;
  const li = items.get(i);
  li.setAttribute('aria-selected', 'true');
  li.tabIndex = 0;
  if (focus) li.focus();
  tell(i);
}
const circle = (k, kind, r) => `<circle class="${kind}" cx="${data.points[k][0]}" cy="${data.points[k][1]}" r="${r}"/>`;
const place = new Map(data.seqs.map((seq, k) => [seq, k]));
function tell(i) {
  const node = data.nodes[i], end = node.first + node.records;
  byId('name').textContent = node.name;
  const worded = node.source === 'extractive' ? '' : `, worded by ${node.source}`;
  byId('facts').textContent = `${node.records.toLocaleString()} records, ${node.extent}, ${node.time}${worded}`;
  const named = new Set();
  byId('sentences').replaceChildren(...node.sentences.map(said => {
    const li = make('li', said.text);
    li.append(make('span', 'records ' + said.records.slice(0, 12).join(', '), 'proof'));
    said.records.forEach(seq => named.add(seq));
    return li;
  }));
  byId('terms').replaceChildren(...node.terms.map(([term, count]) => {
    const row = make('div', undefined, 'term'), bar = make('i');
    bar.style.width = `${100 * count / node.records}%`;
    const rail = make('span');
    rail.append(bar);
    row.append(make('span', term), rail, make('b', `${count.toLocaleString()} of ${node.records.toLocaleString()}`));
    return row;
  }));
  const step = Math.max(1, Math.ceil(data.seqs.length / 6000));
  let far = '', near = '';
  for (let k = 0; k < data.seqs.length; k += step) {
    if (k >= node.first && k < end) near += circle(k, 'near', 4); else far += circle(k, 'far', 3);
  }
  const shown = [...named].filter(seq => place.has(seq)).map(seq => circle(place.get(seq), 'named', 7)).join('');
  byId('map').innerHTML = far + near + shown;
  const lines = [];
  for (let k = node.first; k < Math.min(end, node.first + 100); k++) {
    if (k < data.captions.length) lines.push(make('li', `${data.seqs[k]}: ${data.captions[k]}`));
  }
  if (end - node.first > 100) lines.push(make('li', `and ${(end - node.first - 100).toLocaleString()} more`));
  byId('records').replaceChildren(...lines);
}
byId('tree').addEventListener('keydown', event => {
  const visible = [...byId('tree').querySelectorAll('[role=treeitem]')].map(li => Number(li.dataset.node));
  const at = visible.indexOf(chosen), expanded = items.get(chosen).getAttribute('aria-expanded') === 'true';
  const moves = {
    ArrowDown: () => visible[at + 1], ArrowUp: () => visible[at - 1], Home: () => visible[0],
    End: () => visible[visible.length - 1],
    ArrowRight: () => expanded ? children[chosen][0] : (open(chosen), chosen),
    ArrowLeft: () => expanded ? (shut(chosen), chosen) : data.nodes[chosen].parent,
    Enter: () => (toggle(chosen), chosen), ' ': () => (toggle(chosen), chosen),
  };
  if (!(event.key in moves)) return;
  event.preventDefault();
  const next = moves[event.key]();
  if (next !== undefined && next >= 0) select(next);
});
byId('find').addEventListener('input', event => {
  document.querySelectorAll('#tree .hit').forEach(li => li.classList.remove('hit'));
  const word = event.target.value.trim().toLowerCase();
  if (!word) { byId('found').textContent = ''; return; }
  const share = node => (node.terms.find(([term]) => term.includes(word)) || [0, 0])[1] / node.records;
  const best = data.nodes.map((node, i) => [share(node), i]).filter(([s]) => s > 0).sort((a, b) => b[0] - a[0]);
  best.slice(0, 10).forEach(([, i]) => { reveal(i); items.get(i).classList.add('hit'); });
  byId('found').textContent = best.length ? `${best.length} summaries speak of it; the ten richest are marked.`
    : 'No summary here names it.';
  if (best.length) select(best[0][1], false);
});
data.nodes.forEach((node, i) => { if (node.parent < 0) byId('tree').append(item(i)); });
open(0);
select(0, false);
"""
