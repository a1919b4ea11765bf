// What fires, kept up to date: the public summary is asked for every few seconds (it comes from
// the service's memory, and is 304 while nothing changed), and alerts only when it says that
// something did. A hidden tab asks nothing.

import { call, get, session } from './api.js';

const EVERY_MS = 4500;
const SLOW_MS = 15_000;
// When so little of the limit is left, other tabs of the same key are polling, too.
const SCARCE = 30;
const LISTED_MOST = 1000;
// Texts of entries change seldom.
const ENTRIES_MS = 30_000;

export const state = {
  summary: null,
  // Of the Now view: stored alerts that fire, and their entries by id.
  alerts: null, entries: new Map(), more: false,
  at: 0, problem: null,
};

const listeners = new Set();
let etag = null;
let mark = null;
let entriesAt = 0;
let timer = 0;
let running = false;

export function subscribe(listener, wants = {}) {
  const entry = { listener, wants };
  listeners.add(entry);
  if (wants.alerts) { mark = null; poll(); }
  return () => listeners.delete(entry);
}

const tell = () => { for (const { listener } of listeners) listener(state); };

export function begin() {
  etag = mark = null;
  entriesAt = 0;
  Object.assign(state, { summary: null, alerts: null, entries: new Map(), problem: null });
  return poll();
}

export function end() {
  clearTimeout(timer);
  state.alerts = null;
}

// Changes of any alert or entry move the time of the last update, or one of these numbers.
const markOf = (summary) =>
  [summary.lastUpdated, summary.alerts.firing, summary.stats.total].join('|');

async function refreshAlerts() {
  const page = await get('/api/alerts', { status: 'firing', limit: LISTED_MOST });
  const unknown = page.alerts.some((alert) => !state.entries.has(alert.entryId));
  if (unknown || Date.now() - entriesAt > ENTRIES_MS) await refreshEntries();
  state.alerts = page.alerts;
  state.more = page.next !== null;
}

async function refreshEntries() {
  const page = await get('/api/knowledge/entries', { firing: true, limit: LISTED_MOST });
  state.entries = new Map(page.entries.map((entry) => [entry.id, entry]));
  entriesAt = Date.now();
}

// An entry was changed on this page.
export function changed(entry) {
  if (state.entries.has(entry.id)) state.entries.set(entry.id, entry);
  tell();
}

async function ask() {
  const answer = await call('/api/knowledge/summary', { etag, once: true });
  if (answer.status === 200) {
    etag = answer.etag;
    state.summary = answer.data;
  }
  const now = markOf(state.summary);
  if (session.key && now !== mark && [...listeners].some(({ wants }) => wants.alerts)) {
    await refreshAlerts();
    mark = now;
  }
  return answer.remaining;
}

async function poll() {
  if (running) return;
  clearTimeout(timer);
  if (document.hidden) return;
  running = true;
  let wait = EVERY_MS;
  try {
    const remaining = await ask();
    if (remaining < SCARCE) wait = SLOW_MS;
    state.at = Date.now();
    state.problem = null;
  } catch (error) {
    state.problem = error;
    if (error.retryAfter) wait = Math.min(60, error.retryAfter) * 1000;
    if (error.status === 401) wait = null;
  }
  running = false;
  tell();
  if (wait !== null) timer = setTimeout(poll, wait);
}

document.addEventListener('visibilitychange', poll);
