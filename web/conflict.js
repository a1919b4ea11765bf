// Two people changed one entry: both texts side by side, field by field, and a choice for each.

import { fill, h, newId } from './dom.js';
import { timeText } from './format.js';
import { FIELDS, same } from './edit.js';
import { entryAddress } from './pattern.js';

const text = (value) => (Array.isArray(value) ? value.join('\n') : value) || '(empty)';

function who(entry, name) {
  const source = entry.provenance.texts?.[name];
  return source ? `${source.name}, ${timeText(source.at)}` : `version ${entry.version}`;
}

// `mine` are the fields that were changed here, from `before`; `theirs` is the entry as stored.
export function conflict(place, { before, mine, theirs, save }) {
  // What the other one did not touch is no conflict.
  const contested = FIELDS.filter(([name]) => name in mine && !same(theirs[name], before[name]) && !same(theirs[name], mine[name]));
  const choices = new Map();
  const told = h('p', { class: 'told', role: 'alert' });
  const side = (name, group, which, label, value, hint) => {
    const id = newId();
    const radio = h('input', { type: 'radio', id, name: group, required: true, onchange: () => choices.set(name, which) });
    return h('div', { class: 'side' }, h('div', {}, radio, h('label', { for: id }, label), ' ', h('small', { class: 'dim' }, hint)), h('pre', { tabindex: 0 }, text(value)));
  };
  const fields = contested.map(([name, label]) => {
    const group = newId();
    return h('fieldset', { class: 'sides' }, h('legend', {}, label),
      side(name, group, 'mine', 'Yours', mine[name], 'not saved yet'),
      side(name, group, 'theirs', 'As it is stored now', theirs[name], who(theirs, name)));
  });
  fill(place, h('h1', { tabindex: -1 }, 'Changed by another meanwhile'),
    h('p', {}, contested.length > 0 ? 'Both of you changed the same. Choose what is to stay; nothing is saved until you do.'
      : 'The other change is in other fields. Yours can be saved beside it.'),
    h('form', {
      class: 'conflict',
      onsubmit: async (event) => {
        event.preventDefault();
        const body = Object.fromEntries(Object.entries(mine).filter(([name]) => choices.get(name) !== 'theirs'));
        try {
          if (Object.keys(body).length === 0) location.hash = entryAddress(theirs.id);
          else await save(body, `"${theirs.version}"`);
        } catch (error) {
          if (error.entry) conflict(place, { before: theirs, mine: body, theirs: error.entry, save });
          else fill(told, error.message);
        }
      },
    }, fields, h('div', { class: 'bar' }, h('button', { type: 'submit' }, 'Save this'),
      h('a', { class: 'button quiet', href: entryAddress(theirs.id) }, 'Drop my change')), told));
  place.querySelector('h1').focus();
}
