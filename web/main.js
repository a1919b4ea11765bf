// The page: where an address leads, who is signed in, and how things stand.

import { hooks, session } from './api.js';
import { show as ask } from './ask.js';
import { fill, h, select } from './dom.js';
import { show as entry } from './entry.js';
import { age, count, many } from './format.js';
import { show as history } from './history.js';
import { show as knowledge } from './knowledge.js';
import { show as landing } from './landing.js';
import { begin, end, state, subscribe } from './live.js';
import { show as now } from './now.js';

const THEME = 'orchestrator.theme';
// After so long without an answer what is shown may not be true any more.
const STALE_MS = 15_000;
const EXPIRES_SOON_MS = 14 * 86_400_000;

const VIEWS = { now, ask, knowledge, entry, history };
const TABS = [['now', '#/', 'Now'], ['ask', '#/ask', 'Ask'], ['knowledge', '#/knowledge', 'Knowledge'], ['history', '#/history', 'History']];

const main = document.getElementById('main');
const nav = document.getElementById('nav');
const status = document.getElementById('status');
let view = null;

const decoded = (text) => { try { return decodeURIComponent(text); } catch { return text; } };

// '#/alert/NAME' → { view: 'now', name: 'NAME' }
export function routeOf(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const [first, second, third] = path.split('/');
  const query = new URLSearchParams(search);
  switch (first) {
    case 'alert': return second ? { view: 'now', name: decoded(path.slice('alert/'.length)), query } : { view: 'now', query };
    case 'ask': case 'knowledge': case 'history': return { view: first, query };
    case 'entry': return second ? { view: 'entry', id: decoded(second), edit: third === 'edit', query } : { view: 'knowledge', query };
    case 'new': return { view: 'entry', query };
    default: return { view: 'now', query };
  }
}

function tabs(current) {
  fill(nav, session.me && TABS.map(([name, href, text]) => h('a', {
    href, 'aria-current': name === current || (name === 'knowledge' && current === 'entry') ? 'page' : undefined,
  }, text, name === 'now' && h('span', { class: 'count', id: 'firing' }))));
  shown();
}

function open(first) {
  const route = routeOf(location.hash);
  if (view?.go?.(route)) {
    document.title = `${view.title()} · orchestrator`;
    return;
  }
  view?.close();
  main.classList.remove('pad');
  tabs(route.view);
  view = VIEWS[route.view](main, route);
  document.title = `${view.title()} · orchestrator`;
  main.scrollTop = 0;
  // Who reads by ear hears where the link has led.
  if (!first && !view.focused) main.querySelector('h1')?.focus({ preventScroll: true });
}

function strangers(sentence) {
  view?.close();
  tabs(null);
  account();
  view = landing(main, () => start(), sentence);
  document.title = 'orchestrator';
}

function account() {
  const theme = select({ 'aria-label': 'Colours', onchange: ({ target }) => colours(target.value) },
    [['', 'Auto'], ['dark', 'Dark'], ['light', 'Light']], document.documentElement.dataset.theme ?? '');
  fill(document.getElementById('session'), session.me && h('span', { class: 'who', title: session.me.label }, session.me.role), theme,
    session.me && h('button', { type: 'button', class: 'quiet', onclick: () => leave('') }, 'Sign out'));
}

function colours(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try { localStorage.setItem(THEME, theme); } catch { /* for this view only */ }
}

function leave(sentence) {
  session.end();
  end();
  begin();
  strangers(sentence);
}

const expires = () => {
  const left = session.me?.expiresAt ? Date.parse(session.me.expiresAt) - Date.now() : Infinity;
  return left < EXPIRES_SOON_MS ? `This key ends in ${many(Math.max(0, Math.ceil(left / 86_400_000)), 'day')}.` : '';
};

// How things stand, above every view.
function shown() {
  const firing = document.getElementById('firing');
  if (firing) fill(firing, state.summary?.alerts.firing > 0 && [' ', count(state.summary.alerts.firing), h('span', { class: 'visually-hidden' }, ' firing')]);
  const silent = state.problem && (Date.now() - state.at > STALE_MS || !state.at);
  const sentence = silent
    ? `${state.problem.message}. ${state.at ? `What is shown is from ${age(state.at) === 'now' ? 'less than a minute' : age(state.at)} ago.` : ''}`
    : expires();
  document.body.classList.toggle('stale', Boolean(silent));
  if (status.textContent !== sentence) status.textContent = sentence;
}

// Ages grow while nothing else changes.
setInterval(() => {
  for (const element of document.querySelectorAll('time[data-at]')) {
    const text = age(Number(element.dataset.at));
    if (element.textContent !== text) element.textContent = text;
  }
  shown();
}, 10_000);

async function start() {
  account();
  if (session.key && !session.me) {
    try {
      await session.begin(session.key);
    } catch (error) {
      if (error.status !== 401) {
        fill(main, h('p', { class: 'pad', role: 'alert' }, `${error.message}. It is tried again in a few seconds.`));
        setTimeout(start, 5000);
        return;
      }
      session.end();
    }
  }
  begin();
  if (!session.me) { strangers(''); return; }
  account();
  open(true);
}

hooks.refused = () => { if (session.me) leave('The key is not accepted any more.'); };
hooks.waiting = ({ retryAfter }) => { status.textContent = `The limit of requests is reached; going on in ${retryAfter} s.`; };

try { colours(localStorage.getItem(THEME) ?? ''); } catch { colours(''); }
subscribe(shown);
addEventListener('hashchange', () => { if (session.me) open(false); });
addEventListener('popstate', () => { if (session.me && view) document.title = `${view.title()} · orchestrator`; });
start();
