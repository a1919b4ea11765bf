// One alert: what to do first, the steps, where it fires, what is known about it and how often it
// came. Its address, #/alert/NAME, is what a rule can give as its runbook_url.

import { get, session } from './api.js';
import { bars, figures } from './chart.js';
import { fill, h, outside, webAddress } from './dom.js';
import { age, clockText, count, dayText, duration, firstThing, many, percent, place, rank, timeText } from './format.js';
import { windowed } from './list.js';
import { inline, markdown } from './markdown.js';
import { feedback, notes, steps } from './work.js';

const HOUR = 3_600_000;
const DAYS = 7;
// So that who walks through the list does not ask for the history of each on the way.
const REST_MS = 400;

// Of other entries there is nothing to count.
const LEARNED = ['alert_pattern', 'question'];

export const alertPath = (name) => `#/alert/${encodeURIComponent(name)}`;
export const entryAddress = (id) => `#/entry/${encodeURIComponent(id)}`;

const byWeight = (a, b) =>
  (b.firing ?? 0) - (a.firing ?? 0) || rank(a.severity) - rank(b.severity) || b.occurrences - a.occurrences;

// Figures of an entry in a line.
export const facts = (entry) => [
  LEARNED.includes(entry.category) && entry.occurrences > 0 && `seen ${many(entry.occurrences, 'time')}`,
  entry.meanTimeToResolveMs !== undefined && `resolves in ${duration(entry.meanTimeToResolveMs)} on average`,
  entry.successRate > 0 && `${percent(entry.successRate)} resolved`,
  entry.lastFired && `last began ${timeText(entry.lastFired)}`,
].filter(Boolean).join(' · ');

export const prose = (title, text) =>
  text && h('section', { class: 'prose' }, h('h2', {}, title), markdown(text));

export function links(entry, alert) {
  const address = webAddress(entry?.runbookUrl ?? '');
  // A rule that gives this very page as its runbook needs no link to it.
  const runbook = address?.startsWith(`${location.origin}/#/`) ? null : address;
  const source = webAddress(alert?.generatorURL ?? '');
  return h('p', { class: 'links' },
    runbook && outside(runbook, 'Runbook'), source && outside(source, 'Source of the alert'),
    entry && h('a', { href: entryAddress(entry.id) }, 'Whole entry'));
}

const labelText = (labels) => Object.entries(labels)
  .filter(([name]) => name !== 'alertname').map(([name, value]) => `${name}=${value}`).join('  ');

function instances(firing) {
  const list = windowed({
    label: 'Where it fires',
    key: (alert) => alert.fingerprint + alert.startsAt,
    href: (alert) => webAddress(alert.generatorURL ?? '') ?? alertPath(alert.name),
    row: (alert) => [
      h('span', { class: 'name' }, place(alert.labels) || alert.message),
      h('time', { class: 'age', 'data-at': Date.parse(alert.startsAt), title: timeText(alert.startsAt) }, age(Date.parse(alert.startsAt))),
      h('span', { class: 'labels', title: labelText(alert.labels) }, labelText(alert.labels)),
    ],
  });
  const section = h('section', { class: 'instances' }, h('h2', {}, `Fires ${firing.alerts.length === 1 ? 'in one place' : `in ${count(firing.alerts.length)} places`}`), list.element);
  list.set([...firing.alerts].sort((a, b) => Date.parse(a.startsAt) - Date.parse(b.startsAt)));
  return section;
}

function timeline(place, name, signal) {
  const until = Date.now();
  const from = until - DAYS * 24 * HOUR;
  const section = h('section', {}, h('h2', {}, `Last ${DAYS} days`));
  place.append(section);
  const draw = async () => {
    const { alertSeries } = await get('/api/persistence/historical',
      { days: DAYS, alertname: name, aggregation: 'hourly' }, { signal });
    const points = alertSeries.map(({ timestamp, firing, resolved }) => {
      const at = Date.parse(timestamp);
      const open = Math.max(0, firing - resolved);
      return { at, length: HOUR, parts: { open, resolved }, firing, resolved, title: `${dayText(at)} ${clockText(at)}: ${many(firing, 'alert')}, ${count(resolved)} resolved` };
    });
    const total = points.reduce((sum, point) => sum + point.firing, 0);
    section.append(total === 0 ? h('p', { class: 'dim' }, 'It did not fire.') : bars({
      label: `${many(total, 'alert')} in the last ${DAYS} days`, from, until, points, names: ['open', 'resolved'],
    }));
    if (total > 0) section.append(figures(['When', 'Began', 'Resolved'], points.map(({ at, firing, resolved }) => [timeText(at), firing, resolved])));
  };
  const timer = setTimeout(() => draw().catch((error) => { if (!signal.aborted) section.append(h('p', { class: 'dim' }, error.message)); }), REST_MS);
  signal.addEventListener('abort', () => clearTimeout(timer));
}

// Shows the alert of this name in `place`; `firing` is its group, if it fires.
export function pattern(place, name, firing, { asked }) {
  const closing = new AbortController();
  const { signal } = closing;
  const head = h('div');
  const guide = h('div');
  const body = h('div');
  const also = h('div');
  const where = h('div');
  const past = h('div');
  fill(place, asked && h('a', { class: 'back', href: '#/' }, '← All that fires'), head, where, guide, body, also, past);
  let entries = [];
  let shown = null;
  let seen = null;

  function showHead() {
    const [entry] = entries;
    const severity = firing?.severity ?? entry?.severity;
    const alert = firing?.alerts[0];
    const first = firstThing(entry);
    fill(head,
      h('p', { class: 'lead' }, severity && h('span', { class: `severity ${severity}` }, severity),
        firing ? h('span', {}, 'fires since ', h('time', { 'data-at': firing.oldest, title: timeText(firing.oldest) }, age(firing.oldest)))
          : h('span', { class: 'calm' }, 'does not fire now')),
      h(asked ? 'h1' : 'h2', { class: 'title', tabindex: -1 }, name),
      alert && alert.message !== name && h('p', { class: 'message' }, alert.message),
      first && h('div', { class: 'do' }, h('strong', {}, 'Do first'), h('p', {}, inline(first))),
      links(entry, alert));
  }

  function showWhere() {
    const key = firing?.alerts.map((alert) => alert.fingerprint).join();
    if (key === seen) return;
    seen = key;
    fill(where, firing && instances(firing));
  }

  function showBody() {
    const [entry] = entries;
    const version = entry && `${entry.id}:${entry.version}`;
    if (version === shown || written()) return;
    shown = version;
    fill(body, entry && [
      steps(entry),
      // What stands above already needs no second reading.
      firstThing({ solution: entry.solution }) !== entry.solution.trim() && prose('Solution', entry.solution),
      entry.description !== firing?.alerts[0].message && prose('What it is', entry.description),
      prose('Cause', entry.rootCause),
      h('p', { class: 'dim' }, facts(entry)),
      feedback(entry), notes(entry),
    ]);
  }

  // What somebody is writing is not taken from under their hands.
  const written = () => [...body.querySelectorAll('textarea')].some((area) => area.value !== '');

  // The runbooks of the alert: the steps of the first, where the alert itself brings none.
  function showAlso() {
    const [entry, ...others] = entries;
    const runbook = !entry?.steps?.length && others.find((other) => other.steps?.length);
    fill(guide, runbook && [steps(runbook), h('p', { class: 'dim' }, 'From ', h('a', { href: entryAddress(runbook.id) }, runbook.title))]);
    fill(also, others.length > 0 && h('section', {}, h('h2', {}, 'Also known about it'),
      h('ul', {}, others.map((other) => h('li', {}, h('a', { href: entryAddress(other.id) }, other.title))))));
  }

  async function load() {
    const page = await get('/api/knowledge/entries', { alertname: name, limit: 50 }, { signal });
    entries = page.entries.sort(byWeight);
    showHead();
    showBody();
    showAlso();
    if (entries.length === 0) {
      fill(body, h('p', {}, 'Nothing is known about an alert of this name.'), session.may('operator')
        && h('p', {}, h('a', { class: 'button', href: `#/new?${new URLSearchParams({ title: name, tag: name })}` }, 'Write down what helps')));
    }
  }

  if (firing?.entry) entries = [firing.entry];
  showHead();
  showWhere();
  showBody();
  const timer = setTimeout(() => load().catch((error) => { if (!signal.aborted) body.append(h('p', { role: 'alert' }, error.message)); }), firing?.entry ? REST_MS : 0);
  signal.addEventListener('abort', () => clearTimeout(timer));
  timeline(past, name, signal);

  return {
    name,
    update(next) {
      const same = next?.alerts.length === firing?.alerts.length && next?.oldest === firing?.oldest && next?.entry === firing?.entry;
      firing = next;
      if (same) return;
      if (entries.length === 0 && next?.entry) entries = [next.entry];
      showHead();
      showWhere();
      showBody();
    },
    close: () => closing.abort(),
  };
}
