// Now: what fires, grouped by alert, each with where it is and the one thing to do first; beside
// the list one alert whole, at first the worst.

import { fill, h, select } from './dom.js';
import { age, count, firstThing, many, places, rank, severityOf } from './format.js';
import { windowed } from './list.js';
import { state, subscribe } from './live.js';
import { alertPath, pattern } from './pattern.js';

const ORDERS = [['worst', 'Worst first'], ['newest', 'Newest first'], ['oldest', 'Oldest first']];
const wide = matchMedia('(min-width: 62rem)');
// Stays while the tab is open, also over other views.
const chosen = { order: 'worst', text: '' };

// Alerts of one name, with the entry that matters most among theirs.
export function groups(alerts, entries) {
  const byName = new Map();
  for (const alert of alerts) {
    const entry = entries.get(alert.entryId);
    const severity = entry?.severity ?? severityOf(alert.severity);
    const group = byName.get(alert.name)
      ?? { name: alert.name, severity, entry, alerts: [], newest: 0, oldest: Infinity };
    byName.set(alert.name, group);
    if (rank(severity) < rank(group.severity) || !group.entry) Object.assign(group, { severity, entry });
    group.alerts.push(alert);
    const at = Date.parse(alert.startsAt);
    group.newest = Math.max(group.newest, at);
    group.oldest = Math.min(group.oldest, at);
  }
  return [...byName.values()];
}

function sorted(all, order) {
  const newest = (a, b) => b.newest - a.newest;
  const compare = {
    worst: (a, b) => rank(a.severity) - rank(b.severity) || newest(a, b),
    newest,
    oldest: (a, b) => a.oldest - b.oldest,
  }[order];
  return all.sort((a, b) => compare(a, b) || a.name.localeCompare(b.name));
}

function matches(group, words) {
  if (words.length === 0) return true;
  const text = [group.name, group.entry?.title, ...group.alerts.slice(0, 50).flatMap((alert) => [alert.message, ...Object.values(alert.labels)])]
    .join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

const row = (group) => [
  h('span', { class: `severity ${group.severity}` }, group.severity),
  h('span', { class: 'name' }, group.name, group.alerts.length > 1 && h('span', { class: 'times' }, ` ×${count(group.alerts.length)}`)),
  h('time', { class: 'age', 'data-at': group.oldest, title: 'fires since' }, age(group.oldest)),
  h('span', { class: 'where' }, places(group.alerts)),
  h('span', { class: 'first' }, firstThing(group.entry) || group.alerts[0].message),
];

export function show(main, route) {
  const list = windowed({ label: 'Alerts that fire', key: (group) => group.name, href: (group) => alertPath(group.name), row });
  const heading = h('h1', { tabindex: -1 }, 'Now');
  const told = h('p', { class: 'told', 'aria-live': 'polite' });
  const empty = h('div', { class: 'empty', hidden: true });
  const filter = h('input', {
    type: 'search', placeholder: 'Filter', 'aria-label': 'Filter by name, label or text', value: chosen.text,
    oninput: ({ target }) => { chosen.text = target.value; update(); },
  });
  const order = select({ 'aria-label': 'Order', onchange: ({ target }) => { chosen.order = target.value; update(); } }, ORDERS, chosen.order);
  const detail = h('section', { class: 'detail', 'aria-label': 'One alert' });
  const overview = h('section', { class: 'overview' }, h('div', { class: 'bar' }, heading, filter, order), told, empty, list.element);
  const view = h('div', { class: 'now' }, overview, detail);
  fill(main, view);
  let open = null;

  // What stands beside the list: what was asked for, else the worst, where there is room.
  function beside(all) {
    const name = route.name ?? (wide.matches ? all[0]?.name : undefined);
    view.classList.toggle('chosen', route.name !== undefined);
    const firing = all.find((group) => group.name === name);
    if (name === undefined) {
      open?.close();
      open = null;
      fill(detail);
    } else if (open?.name === name) open.update(firing);
    else {
      open?.close();
      open = pattern(detail, name, firing, { asked: route.name !== undefined });
    }
  }

  function update() {
    if (!state.alerts) {
      fill(told, state.problem ? '' : 'Loading …');
      if (route.name !== undefined) beside([]);
      return;
    }
    const all = sorted(groups(state.alerts, state.entries), chosen.order);
    const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = all.filter((group) => matches(group, words));
    const critical = all.filter((group) => group.severity === 'critical').length;
    const firing = Math.max(state.alerts.length, state.summary?.alerts.firing ?? 0);
    const sentence = all.length === 0 ? '' : [
      `${many(firing, 'alert fires', 'alerts fire')} in ${many(all.length, 'group')}`,
      critical > 0 && `${count(critical)} critical`,
      shown.length < all.length && `${count(shown.length)} shown`,
      state.more && `the newest ${count(state.alerts.length)} are listed`,
    ].filter(Boolean).join(' · ');
    if (told.textContent !== sentence) told.textContent = sentence;
    empty.hidden = shown.length > 0;
    list.element.hidden = shown.length === 0;
    if (all.length === 0) {
      fill(empty, h('p', { class: 'calm' }, 'Nothing fires.'),
        h('p', { class: 'dim' }, `${many(state.summary?.alerts.last24Hours, 'alert')} in the last 24 hours.`));
    } else fill(empty, 'Nothing that fires matches the filter.');
    beside(all);
    list.set(shown, route.name ?? open?.name ?? null);
    performance.mark('now:shown');
  }

  const again = () => update();
  wide.addEventListener('change', again);
  const unsubscribe = subscribe(update, { alerts: true });
  update();
  return {
    title: () => (route.name === undefined ? 'Now' : route.name),
    // Another alert of the same list: the list stays as it is.
    go(next) {
      if (next.view !== 'now') return false;
      route = next;
      update();
      if (!wide.matches || route.name === undefined) (route.name === undefined ? heading : detail.querySelector('h1,h2'))?.focus();
      return true;
    },
    close() {
      unsubscribe();
      wide.removeEventListener('change', again);
      open?.close();
    },
  };
}
