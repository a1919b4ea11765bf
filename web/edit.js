// Editing an entry. What is sent is what was changed, with the version that it was changed from:
// who was slower sees both texts side by side and decides, and nothing is overwritten unseen.

import { call, entryPath, session } from './api.js';
import { conflict } from './conflict.js';
import { field, fill, h, select } from './dom.js';
import { CATEGORIES, SEVERITIES } from './format.js';
import { changed } from './live.js';
import { entryAddress } from './pattern.js';

const LINES = 'lines';
export const FIELDS = [
  ['title', 'Title', 'text'], ['category', 'Category', 'category'], ['severity', 'Severity', 'severity'],
  ['description', 'What it is', 'prose'], ['rootCause', 'Cause', 'prose'], ['solution', 'Solution', 'prose'],
  ['prerequisites', 'Before you begin', LINES], ['steps', 'Steps', LINES], ['expectedOutcome', 'What to expect', 'prose'],
  ['tags', 'Tags', 'tags'], ['runbookUrl', 'Address of a runbook', 'url'],
];

export const same = (a, b) => JSON.stringify(a ?? '') === JSON.stringify(b ?? '')
  || (Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((one, n) => one === b[n]));

// One text area an item, so that an item may have lines of its own.
function lines(label, items) {
  const list = h('ol', { class: 'lines' });
  const add = (text = '') => {
    const area = h('textarea', { rows: Math.min(8, text.split('\n').length), value: text, 'aria-label': `${label}, one` });
    const line = h('li', {}, area, h('button', { type: 'button', class: 'quiet', 'aria-label': `Remove from ${label}`, onclick: () => { line.remove(); more.focus(); } }, '×'));
    list.append(line);
    return area;
  };
  const more = h('button', { type: 'button', class: 'quiet', onclick: () => add().focus() }, 'Add one');
  items.forEach((item) => add(item));
  const element = h('fieldset', {}, h('legend', {}, label), list, more);
  return { element, value: () => [...list.querySelectorAll('textarea')].map((area) => area.value.trim()).filter(Boolean) };
}

function control([name, label, kind], entry) {
  const value = entry[name];
  if (kind === LINES) return lines(label, value ?? []);
  const inputs = {
    text: () => h('input', { type: 'text', required: true, maxlength: 500, value: value ?? '' }),
    url: () => h('input', { type: 'url', value: value ?? '' }),
    tags: () => h('input', { type: 'text', value: (value ?? []).join(', ') }),
    prose: () => h('textarea', { rows: Math.min(16, Math.max(3, String(value ?? '').split('\n').length + 1)), value: value ?? '' }),
    category: () => select({}, CATEGORIES.filter(([id]) => id !== 'question' || id === value), value ?? 'troubleshooting'),
    severity: () => select({}, SEVERITIES.map((one) => [one, one]), value ?? 'medium'),
  };
  const input = inputs[kind]();
  const hint = { tags: 'With commas between them.', prose: 'Markdown.' }[kind];
  const read = kind === 'tags' ? () => input.value.split(',').map((tag) => tag.trim()).filter(Boolean) : () => input.value;
  return { element: field(label, input, hint), value: read };
}

// The form for an entry, or for a new one with these values to begin with.
export function edit(place, known, beginning = {}) {
  if (!session.may('operator')) {
    fill(place, h('h1', { tabindex: -1 }, 'Edit'), h('p', {}, 'Changing entries takes a key of the role operator.'));
    return;
  }
  const before = known?.entry ?? beginning;
  const controls = FIELDS.map((one) => [one[0], control(one, before)]);
  const told = h('div', { class: 'told', role: 'alert' });
  const form = h('form', { class: 'edit', onsubmit: (event) => { event.preventDefault(); submit(); } },
    controls.map(([, { element }]) => element),
    h('div', { class: 'bar' }, h('button', { type: 'submit' }, 'Save'),
      h('a', { class: 'button quiet', href: known ? entryAddress(known.entry.id) : '#/knowledge' }, 'Cancel')), told);
  fill(place, h('h1', { tabindex: -1 }, known ? `Edit: ${known.entry.title}` : 'New entry'), form);

  const written = () => Object.fromEntries(controls.map(([name, { value }]) => [name, value()]));
  const differences = (from, to) => Object.fromEntries(
    Object.entries(to).filter(([name, value]) => !same(value, from[name])));

  async function save(body, etag) {
    const { data } = known
      ? await call(entryPath(known.entry.id), { method: 'PATCH', body, ifMatch: etag })
      : await call('/api/knowledge/entries', { method: 'POST', body });
    changed(data);
    location.hash = entryAddress(data.id);
  }

  async function submit() {
    const body = known ? differences(before, written()) : Object.fromEntries(
      Object.entries(written()).filter(([, value]) => value.length > 0));
    // An emptied optional text is none at all.
    if (known) for (const name of ['rootCause', 'runbookUrl']) if (body[name] === '') body[name] = null;
    if (known && Object.keys(body).length === 0) { location.hash = entryAddress(known.entry.id); return; }
    try {
      await save(body, known?.etag);
    } catch (error) {
      if (error.entry) conflict(place, { before, mine: body, theirs: error.entry, save });
      else fill(told, error.message, h('ul', {}, error.details.map(({ path, message }) => h('li', {}, `${path} ${message}`))));
    }
  }
}
