// History: alerts a day by severity, what fired most and how long it took, one alert over time, and
// the service's own figures; any period, each table as CSV.

import { get } from './api.js';
import { bars, figures, line } from './chart.js';
import { download } from './csv.js';
import { field, fill, h, select } from './dom.js';
import { SEVERITIES, count, dayText, duration, many, percent, severityOf, short, timeText } from './format.js';
import { alertPath } from './pattern.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const DAYS = [['1', 'Last 24 hours'], ['7', 'Last 7 days'], ['30', 'Last 30 days'], ['90', 'Last 90 days'], ['365', 'Last 365 days'], ['', 'From … to …']];
const USUAL = 'alerts_firing';
const TOP = 20;

const local = (at) => new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

// Severities as sent, counted under the four that entries have.
function bySeverity(sent) {
  const parts = {};
  for (const [word, alerts] of Object.entries(sent)) {
    const severity = severityOf(word);
    parts[severity] = (parts[severity] ?? 0) + alerts;
  }
  return parts;
}

const bar = (title, name, rows) => h('div', { class: 'bar' }, h('h2', {}, title),
  h('button', { type: 'button', class: 'quiet', disabled: rows.length < 2, onclick: () => download(`${name}.csv`, rows), 'aria-label': `${title} as CSV` }, 'CSV'));

function days({ alertDays, alertsCount, alertsBySeverity }, from, until) {
  const points = alertDays.map(({ date, timestamp, total, bySeverity: sent }) => {
    const at = Date.parse(timestamp);
    const parts = bySeverity(sent);
    const text = SEVERITIES.filter((name) => parts[name]).map((name) => `${count(parts[name])} ${name}`).join(', ');
    return { at, date, length: DAY, parts, total, title: `${dayText(at)}: ${many(total, 'alert')} (${text})` };
  });
  const rows = points.map(({ date, total, parts }) => [date, total, ...SEVERITIES.map((name) => parts[name] ?? 0)]);
  const columns = ['day', 'alerts', ...SEVERITIES];
  const sums = bySeverity(alertsBySeverity);
  const start = Math.min(from, points[0]?.at ?? from);
  return h('section', { class: 'wide' }, bar('Alerts a day', 'alerts-a-day', [columns, ...rows]),
    h('p', { class: 'legend' }, h('strong', {}, many(alertsCount, 'alert')),
      SEVERITIES.map((name) => h('span', {}, h('i', { class: `swatch ${name}`, 'aria-hidden': 'true' }), `${count(sums[name] ?? 0)} ${name}`))),
    points.length > 0 ? bars({ label: `Alerts a day: ${many(alertsCount, 'alert')}`, from: start, until, points }) : h('p', { class: 'dim' }, 'No alerts in this period.'),
    points.length > 0 && figures(columns, rows));
}

function top({ topAlerts }, choose) {
  const rows = topAlerts.map(({ name, count: alerts, resolved, meanTimeToResolveMs }) => [name, alerts, resolved, meanTimeToResolveMs ?? '']);
  const most = Math.max(1, ...topAlerts.map((alert) => alert.count));
  return h('section', {}, bar('What fired most', 'top-alerts', [['alert', 'count', 'resolved', 'mean time to resolve (ms)'], ...rows]),
    topAlerts.length === 0 ? h('p', { class: 'dim' }, 'Nothing fired.') : h('div', { class: 'scroll', tabindex: 0 }, h('table', {},
      h('thead', {}, h('tr', {}, ['Alert', 'Count', 'Resolved', 'Mean time', ''].map((text) => h('th', { scope: 'col' }, text || h('span', { class: 'visually-hidden' }, 'Over time'))))),
      h('tbody', {}, topAlerts.slice(0, TOP).map(({ name, count: alerts, resolved, meanTimeToResolveMs }) => h('tr', {},
        h('td', {}, h('a', { href: alertPath(name) }, name)),
        h('td', { class: 'number' }, h('meter', { min: 0, max: most, value: alerts, 'aria-label': `${name}: ${alerts}` }), count(alerts)),
        h('td', { class: 'number' }, alerts > 0 ? percent(resolved / alerts) : ''),
        h('td', { class: 'number' }, meanTimeToResolveMs === undefined ? '' : duration(meanTimeToResolveMs)),
        h('td', {}, h('button', { type: 'button', class: 'quiet', 'aria-label': `${name} over time`, onclick: () => choose(name) }, 'Over time'))))))));
}

function own({ series, metricsByName }, metric, from, until, chooseMetric) {
  const names = Object.keys(metricsByName).sort();
  const points = (series ?? []).map(({ timestamp, avg, min, max, value }) =>
    ({ at: Date.parse(timestamp), value: avg ?? value, min, max }));
  const rows = points.map(({ at, value, min, max }) => [new Date(at).toISOString(), value, min ?? '', max ?? '']);
  return h('section', {}, bar('The service’s own figures', metric, [['time', 'mean', 'least', 'most'], ...rows]),
    names.length === 0 ? h('p', { class: 'dim' }, 'No figures are kept yet.') : [
      field('Figure', select({ onchange: ({ target }) => chooseMetric(target.value) }, names.map((name) => [name, name]), metric)),
      points.length > 1 ? line({ label: `${metric}: last ${short(points.at(-1).value)}`, from, until, points }) : h('p', { class: 'dim' }, 'Too few figures in this period.'),
      points.length > 0 && figures(['When', 'Mean', 'Least', 'Most'], points.map(({ at, value, min, max }) => [timeText(at), short(value), min === undefined ? '' : short(min), max === undefined ? '' : short(max)])),
    ]);
}

function one({ alertSeries, alertsCount }, name, from, until, length) {
  const points = alertSeries.map(({ timestamp, firing, resolved }) => {
    const at = Date.parse(timestamp);
    return { at, firing, resolved, length, parts: { open: Math.max(0, firing - resolved), resolved }, title: `${timeText(at)}: ${many(firing, 'alert')}, ${count(resolved)} resolved` };
  });
  return [
    bar(`${name} over time`, `alert-${name.replace(/[^\w-]+/g, '_').slice(0, 60)}`, [['time', 'began', 'resolved'], ...points.map(({ at, firing, resolved }) => [new Date(at).toISOString(), firing, resolved])]),
    h('p', {}, many(alertsCount, 'alert'), ' · ', h('a', { href: alertPath(name) }, 'The alert')),
    points.length > 0 && bars({ label: `${name}: ${many(alertsCount, 'alert')}`, from, until, points, names: ['open', 'resolved'] }),
    points.length > 0 && figures(['When', 'Began', 'Resolved'], points.map(({ at, firing, resolved }) => [timeText(at), firing, resolved])),
  ];
}

export function show(main, route) {
  const closing = new AbortController();
  const { signal } = closing;
  const { query } = route;
  const chosen = {
    from: query.get('from') ?? '', to: query.get('to') ?? '', alert: query.get('alert') ?? '', metric: query.get('metric') ?? USUAL,
    days: query.get('from') ? '' : (query.get('days') ?? '7'),
  };
  const told = h('p', { class: 'told', role: 'status' });
  const alerts = h('div', { class: 'grid' });
  const single = h('section', { class: 'wide', hidden: true });
  const custom = h('span', { class: 'bar', hidden: chosen.days !== '' });
  const when = (name, label) => h('input', {
    type: 'datetime-local', 'aria-label': label, value: chosen[name] && local(Date.parse(chosen[name])),
    onchange: ({ target }) => { chosen[name] = target.value ? new Date(target.value).toISOString() : ''; if (chosen.from) go(); },
  });
  fill(custom, when('from', 'From'), ' – ', when('to', 'To'));
  const range = select({
    'aria-label': 'Period',
    onchange: ({ target }) => {
      chosen.days = target.value;
      custom.hidden = chosen.days !== '';
      if (chosen.days) { chosen.from = chosen.to = ''; go(); }
    },
  }, DAYS, chosen.days);
  const name = h('input', { type: 'search', placeholder: 'Alert name', 'aria-label': 'One alert over time', value: chosen.alert, onchange: ({ target }) => choose(target.value.trim()) });
  fill(main, h('div', { class: 'history' }, h('div', { class: 'bar' }, h('h1', { tabindex: -1 }, 'History'), range, custom, name), told, single, alerts));

  function address() {
    const kept = Object.entries(chosen).filter(([key, value]) => value && !(key === 'metric' && value === USUAL));
    history.replaceState(null, '', `#/history?${new URLSearchParams(kept)}`);
  }
  const period = () => (chosen.from ? { from: chosen.from, to: chosen.to } : { days: chosen.days || 7 });
  const ends = ({ period: { startDate, endDate } }) => [Date.parse(startDate), Date.parse(endDate)];
  const aggregation = () => {
    const length = chosen.from ? (Date.parse(chosen.to) || Date.now()) - Date.parse(chosen.from) : chosen.days * DAY;
    return length <= 14 * DAY ? 'hourly' : 'daily';
  };

  async function whole() {
    const found = await get('/api/persistence/historical',
      { ...period(), breakdown: 'daily', metric: chosen.metric, aggregation: aggregation() }, { signal });
    const [from, until] = ends(found);
    fill(alerts, days(found, from, until), top(found, choose), own(found, chosen.metric, from, until, (metric) => { chosen.metric = metric; go(); }));
    fill(told, `${timeText(from)} – ${timeText(until)}`);
    performance.mark('history:shown');
  }
  async function timeline() {
    single.hidden = !chosen.alert;
    if (!chosen.alert) return;
    const found = await get('/api/persistence/historical',
      { ...period(), alertname: chosen.alert, aggregation: aggregation() }, { signal });
    const [from, until] = ends(found);
    fill(single, one(found, chosen.alert, from, until, aggregation() === 'hourly' ? HOUR : DAY));
  }
  const said = (error) => { if (!signal.aborted) fill(told, error.message, error.details.map(({ path, message }) => ` ${path} ${message}.`)); };
  function choose(alert) {
    chosen.alert = name.value = alert;
    address();
    timeline().then(() => single.scrollIntoView({ block: 'nearest' })).catch(said);
  }
  function go() {
    address();
    Promise.all([whole(), timeline()]).catch(said);
  }
  Promise.all([whole(), timeline()]).catch(said);
  return { title: () => 'History', close: () => closing.abort() };
}
