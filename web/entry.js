// One entry whole: its texts, its figures, who wrote what, and the ways to change it.

import { call, entryPath, session } from './api.js';
import { fill, h, outside, webAddress } from './dom.js';
import { categoryName, many, timeText } from './format.js';
import { edit } from './edit.js';
import { alertPath, entryAddress, facts, prose } from './pattern.js';
import { feedback, notes, steps } from './work.js';

const FIELD_NAMES = { runbookUrl: 'runbook address' };

// Who wrote what, the latest first: texts of fields, and when the entry was made and changed.
function authors(entry) {
  const texts = Object.entries(entry.provenance.texts ?? {}).map(([name, source]) => ({
    at: source.at,
    text: `${FIELD_NAMES[name] ?? name}: ${source.by === 'person' ? source.name : `alert ${source.name}`}`,
  }));
  const all = [
    ...texts,
    ...(entry.notes ?? []).map(({ at, author }) => ({ at, text: `note: ${author}` })),
    { at: entry.firstSeen, text: `made, ${entry.provenance.sourceType}${entry.provenance.sourceModel ? ` by ${entry.provenance.sourceModel}` : ''}` },
    { at: entry.lastUpdated, text: `last change, version ${entry.version}` },
  ].sort((a, b) => b.at - a.at);
  const sources = entry.provenance.derivedFrom ?? [];
  return h('section', {}, h('h2', {}, 'Who wrote what'),
    h('ul', { class: 'authors' }, all.map(({ at, text }) => h('li', {}, h('time', { class: 'dim', datetime: new Date(at).toISOString() }, timeText(at)), ` ${text}`))),
    sources.length > 0 && h('details', {}, h('summary', {}, many(sources.length, 'source')), h('ul', {}, sources.slice(0, 200).map((source) => h('li', {}, source)))));
}

function view(entry, { remove, told }) {
  const alerts = entry.category === 'alert_pattern' ? [entry.title.split(': ')[0]] : [];
  const runbook = webAddress(entry.runbookUrl ?? '');
  return [
    h('p', { class: 'lead' }, h('span', { class: `severity ${entry.severity}` }, entry.severity), h('span', { class: 'dim' }, categoryName(entry.category)),
      entry.firing > 0 && h('strong', { class: 'fires' }, many(entry.firing, 'alert fires', 'alerts fire'))),
    h('h1', { class: 'title', tabindex: -1 }, entry.title),
    h('p', { class: 'dim' }, facts(entry)),
    h('div', { class: 'bar' },
      session.may('operator') && entry.category !== 'question' && h('a', { class: 'button', href: `${entryAddress(entry.id)}/edit` }, 'Edit'),
      session.may('operator') && entry.category === 'question' && h('a', { class: 'button', href: `#/new?${new URLSearchParams({ title: entry.title })}` }, 'Answer it'),
      session.may('operator') && h('button', { type: 'button', class: 'quiet', onclick: remove }, 'Delete'), told),
    steps(entry),
    prose('Solution', entry.solution), prose('What it is', entry.description), prose('Cause', entry.rootCause),
    entry.prerequisites.length > 0 && h('section', { class: 'prose' }, h('h2', {}, 'Before you begin'), h('ul', {}, entry.prerequisites.map((one) => h('li', {}, one)))),
    prose('What to expect', entry.expectedOutcome),
    entry.tags.length > 0 && h('ul', { class: 'chips', 'aria-label': 'Tags' }, entry.tags.map((tag) => h('li', {}, h('a', { href: `#/knowledge?${new URLSearchParams({ tag })}` }, tag)))),
    runbook && h('p', {}, outside(runbook, 'Runbook')),
    alerts.map((name) => h('p', {}, h('a', { href: alertPath(name) }, `The alert ${name}`))),
    entry.relatedEntries.length > 0 && h('section', {}, h('h2', {}, 'Belongs to'), h('ul', {}, entry.relatedEntries.map((id) => h('li', {}, h('a', { href: entryAddress(id) }, id))))),
    feedback(entry), notes(entry), authors(entry),
  ];
}

export function show(main, route) {
  const closing = new AbortController();
  const { signal } = closing;
  const place = h('article', { class: 'column entry' }, h('h1', { tabindex: -1 }, route.id ? 'Entry' : 'New entry'));
  fill(main, place);
  let title = route.id ? 'Entry' : 'New entry';

  async function load() {
    if (!route.id) {
      edit(place, null, { title: route.query.get('title') ?? '', tags: route.query.getAll('tag') });
      return;
    }
    const { data, etag } = await call(entryPath(route.id), { signal });
    title = data.title;
    document.title = `${title} · orchestrator`;
    if (route.edit) edit(place, { entry: data, etag });
    else fill(place, view(data, removal(data, etag)));
    performance.mark('entry:shown');
  }

  // Asks once more before it deletes, in the same place.
  function removal(entry, etag) {
    const told = h('span', { role: 'status' });
    const remove = async ({ target }) => {
      if (target.dataset.sure !== 'true') {
        target.dataset.sure = 'true';
        fill(target, 'Really delete?');
        return;
      }
      try {
        await call(entryPath(entry.id), { method: 'DELETE', ifMatch: etag });
        location.hash = '#/knowledge';
      } catch (error) {
        fill(told, error.status === 412 ? 'It was changed meanwhile. ' : error.message, error.status === 412 && h('a', { href: entryAddress(entry.id), onclick: () => load() }, 'Show it as it is now'));
      }
    };
    return { remove, told };
  }

  load().catch((error) => {
    if (!signal.aborted) fill(place, h('h1', { tabindex: -1 }, error.status === 404 ? 'There is no such entry' : 'Entry'), h('p', { role: 'alert' }, error.message));
  });
  return { title: () => title, close: () => closing.abort() };
}
