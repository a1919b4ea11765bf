// The answer to a question: the best entry open, with its steps; the others behind their titles.

import { fill, h } from './dom.js';
import { age, many, percent, place, timeText } from './format.js';
import { inline } from './markdown.js';
import { entryAddress, facts, links, prose } from './pattern.js';
import { feedback, notes, steps } from './work.js';

// A part of an entry's text, with what answers marked.
function fragment({ text, spans }) {
  const parts = [];
  let at = 0;
  for (const [start, end] of spans) {
    parts.push(text.slice(at, start), h('mark', {}, text.slice(start, end)));
    at = end;
  }
  return h('blockquote', {}, parts, text.slice(at));
}

const firing = (alerts) => alerts?.length > 0 && h('ul', { class: 'chips', 'aria-label': 'Fires now' },
  alerts.map((alert) => h('li', {}, `${place(alert.labels) || alert.labels.alertname || alert.fingerprint}, `,
    h('time', { 'data-at': alert.startsAt, title: timeText(alert.startsAt) }, age(alert.startsAt)))));

const sure = (entry) => (entry.confidence === 'high'
  ? h('span', { class: 'sure' }, 'sure') : h('span', { class: 'unsure' }, 'not sure'));

const lead = (entry) => [
  h('span', { class: `severity ${entry.severity}` }, entry.severity), sure(entry),
  h('span', { class: 'dim' }, `score ${percent(entry.score)}`),
];

function body(entry) {
  return [
    h('div', { class: 'highlights' }, entry.highlights.map(fragment)),
    firing(entry.firingAlerts),
    steps(entry),
    prose('Solution', entry.solution), prose('What it is', entry.description), prose('Cause', entry.rootCause),
    entry.truncated && h('p', { class: 'dim' }, 'Shortened to what answers. ', h('a', { href: entryAddress(entry.id) }, 'The whole entry')),
    h('p', { class: 'dim' }, [facts(entry), ...(entry.reasons ?? []).map((reason) => inline(reason))].flatMap((part, n) => (n && part ? [' · ', part] : [part]))),
    links(entry), feedback(entry), notes(entry),
  ];
}

function other(entry) {
  const details = h('details', { class: 'card' },
    h('summary', {}, h('span', { class: 'title' }, entry.title), ' ', lead(entry)));
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) details.append(h('div', {}, body(entry)));
  });
  return h('li', {}, details);
}

export function answer(target, { results, gap, meta }) {
  const [best, ...others] = results.entries;
  fill(target,
    h('h2', { tabindex: -1, class: 'visually-hidden' }, 'Answer'),
    gap && h('p', { class: 'gap', role: 'status' }, best ? 'Nothing is known for sure. ' : 'Nothing is known about this. ',
      `The question is kept, asked ${many(gap.occurrences, 'time')} so far. `,
      h('a', { href: `#/new?${new URLSearchParams({ title: results.query.slice(0, 300) })}` }, 'Answer it when you know')),
    best && h('article', { class: 'card best' }, h('p', { class: 'lead' }, lead(best)), h('h3', { class: 'title' }, best.title), body(best)),
    others.length > 0 && h('h2', {}, many(others.length, 'other entry', 'other entries')),
    others.length > 0 && h('ol', { class: 'others' }, others.map(other)),
    h('p', { class: 'dim' }, `${many(meta.matchedEntries, 'entry', 'entries')} in ${meta.tookMs} ms`));
}
