// Knowledge: all entries, filtered; pages arrive as the list is scrolled.

import { get, session } from './api.js';
import { fill, h, select } from './dom.js';
import { CATEGORIES, SEVERITIES, categoryName, count, dayText, firstThing } from './format.js';
import { windowed } from './list.js';
import { entryAddress } from './pattern.js';

const PAGE = 100;
const REST_MS = 250;
const FILTERS = ['category', 'severity', 'tag', 'alertname', 'firing', 'sort'];
const SORTS = [['', 'Last changed'], ['occurrences', 'Most frequent'], ['title', 'By title']];

const row = (entry) => [
  h('span', { class: `severity ${entry.severity}` }, entry.severity),
  h('span', { class: 'name' }, entry.title),
  h('span', { class: 'age' }, entry.firing > 0 ? h('strong', { class: 'fires' }, `${count(entry.firing)} firing`) : dayText(entry.lastUpdated)),
  h('span', { class: 'where' }, `${categoryName(entry.category)}${entry.occurrences > 0 ? ` · ×${count(entry.occurrences)}` : ''}${entry.tags.length ? ` · ${entry.tags.slice(0, 6).join(', ')}` : ''}`),
  h('span', { class: 'first' }, firstThing(entry)),
];

export function show(main, route) {
  const chosen = Object.fromEntries(FILTERS.map((name) => [name, route.query.get(name) ?? '']));
  const told = h('p', { class: 'told', 'aria-live': 'polite' });
  const list = windowed({ label: 'Entries', key: (entry) => entry.id, href: (entry) => entryAddress(entry.id), row, near: () => more() });
  let loading = null;
  let entries = [];
  let next = null;
  let timer = 0;

  const choose = (name) => ({ target }) => {
    chosen[name] = target.type === 'checkbox' ? (target.checked ? 'true' : '') : target.value.trim();
    const query = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value));
    history.replaceState(null, '', query.size ? `#/knowledge?${query}` : '#/knowledge');
    clearTimeout(timer);
    timer = setTimeout(load, target.tagName === 'SELECT' ? 0 : REST_MS);
  };
  const text = (name, label) => h('input', { type: 'search', placeholder: label, 'aria-label': label, value: chosen[name], oninput: choose(name) });
  const filters = h('div', { class: 'bar filters', role: 'search' },
    select({ 'aria-label': 'Category', onchange: choose('category') }, [['', 'All categories'], ...CATEGORIES], chosen.category),
    select({ 'aria-label': 'Severity', onchange: choose('severity') }, [['', 'All severities'], ...SEVERITIES.map((one) => [one, one])], chosen.severity),
    text('tag', 'Tag'), text('alertname', 'Alert name'),
    h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: chosen.firing === 'true', onchange: choose('firing') }), 'firing'),
    select({ 'aria-label': 'Order', onchange: choose('sort') }, SORTS, chosen.sort));
  fill(main, h('div', { class: 'knowledge' },
    h('div', { class: 'bar' }, h('h1', { tabindex: -1 }, 'Knowledge'),
      session.may('operator') && h('a', { class: 'button', href: '#/new' }, 'New entry')),
    filters, told, list.element));

  async function page(cursor) {
    loading?.abort();
    const mine = loading = new AbortController();
    try {
      const found = await get('/api/knowledge/entries', { ...chosen, limit: PAGE, cursor }, { signal: mine.signal });
      entries = cursor ? [...entries, ...found.entries] : found.entries;
      ({ next } = found);
      if (!cursor) list.element.scrollTop = 0;
      list.element.hidden = entries.length === 0;
      fill(told, entries.length === 0 ? 'No entry matches.' : `${count(entries.length)}${next ? ' and more' : ''} entries`);
      loading = null;
      list.set(entries);
      performance.mark('knowledge:shown');
    } catch (error) {
      if (mine.signal.aborted) return;
      loading = null;
      fill(told, error.message);
    }
  }
  const load = () => page();
  const more = () => { if (next && !loading) page(next); };
  load();
  return { title: () => 'Knowledge', close: () => { clearTimeout(timer); loading?.abort(); } };
}
