// Working with an entry: steps to tick, whether it helped, notes.

import { call, entryPath, session } from './api.js';
import { field, fill, h } from './dom.js';
import { count, many, timeText } from './format.js';
import { changed } from './live.js';
import { inline, markdown } from './markdown.js';

// What is ticked stays until the tab is closed, or the steps change.
export function steps(entry) {
  if (!entry.steps?.length) return null;
  const name = `ticks:${entry.id}:${entry.steps.length}:${entry.version}`;
  let done = new Set();
  try { done = new Set(JSON.parse(sessionStorage.getItem(name) ?? '[]')); } catch { /* begins anew */ }
  const progress = h('span', { class: 'dim' });
  const show = () => { progress.textContent = `${done.size} of ${entry.steps.length} done`; };
  const tick = (at) => ({ target }) => {
    if (target.checked) done.add(at); else done.delete(at);
    try { sessionStorage.setItem(name, JSON.stringify([...done])); } catch { /* for this view only */ }
    show();
  };
  show();
  return h('section', { class: 'steps' }, h('h2', {}, 'Steps ', progress), h('ol', {}, entry.steps.map((step, at) => {
    const [first, ...rest] = String(step).split('\n');
    const box = h('input', { type: 'checkbox', checked: done.has(at), onchange: tick(at) });
    return h('li', {}, h('label', {}, box, h('span', {}, inline(first))), rest.length > 0 && markdown(rest.join('\n')));
  })));
}

export function feedback(entry) {
  const told = h('span', { class: 'dim', role: 'status' }, helped(entry));
  if (!session.may('operator')) return told.textContent ? h('p', { class: 'feedback' }, told) : null;
  const tell = (did) => async ({ target }) => {
    target.disabled = true;
    try {
      const { data } = await call(`${entryPath(entry.id)}/feedback`, { method: 'POST', body: { helped: did } });
      changed(data);
      fill(told, did ? 'Thank you: noted that it helped. ' : 'Noted that it did not help. ', helped(data));
    } catch (error) {
      target.disabled = false;
      fill(told, error.message);
    }
  };
  return h('p', { class: 'feedback' },
    h('button', { type: 'button', onclick: tell(true) }, 'This helped'),
    h('button', { type: 'button', class: 'quiet', onclick: tell(false) }, 'It did not help'), told);
}

const helped = ({ helped: yes, notHelped: no }) =>
  yes + no === 0 ? '' : `Helped ${count(yes)} of ${many(yes + no, 'time')}.`;

export function notes(entry) {
  const list = h('ol', { class: 'notes' });
  const show = (all) => fill(list, [...all].reverse().map((note) => h('li', {},
    h('div', { class: 'dim' }, `${note.author}, ${timeText(note.at)}`), h('div', { class: 'prose' }, markdown(note.text)))));
  show(entry.notes ?? []);
  const section = h('section', {}, h('h2', {}, 'Notes'), list);
  if (!session.may('operator')) return entry.notes?.length ? section : null;
  const text = h('textarea', { rows: 2, maxlength: 5000, required: true });
  const told = h('span', { class: 'dim', role: 'status' });
  section.append(h('form', {
    class: 'note',
    onsubmit: async (event) => {
      event.preventDefault();
      if (!text.value.trim()) return;
      try {
        const { data } = await call(`${entryPath(entry.id)}/notes`, { method: 'POST', body: { text: text.value } });
        changed(data);
        text.value = '';
        show(data.notes);
        fill(told, 'Note added.');
      } catch (error) { fill(told, error.message); }
    },
  }, field('What did you see or do?', text), h('button', { type: 'submit', class: 'quiet' }, 'Add note'), told));
  return section;
}
