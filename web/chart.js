// Charts as SVG: bars stacked by severity, and lines. Each has its figures as a table beside it,
// for who does not see it, and is drawn anew when its width changes.

import { h, svg } from './dom.js';
import { SEVERITIES, clockText, count, dayText, short } from './format.js';

// In units of the page's type, which is larger on large screens.
const unit = parseFloat(getComputedStyle(document.documentElement).fontSize) / 15;
const HEIGHT = 180 * unit;
const LEFT = 44 * unit;
const BOTTOM = 22 * unit;
const TOP = 10 * unit;

// A round number not below the most.
function ceiling(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 10].map((factor) => factor * power).find((round) => round >= most);
}

function frame(width, most, label, kind) {
  const y = (value) => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP);
  const halves = most % 2 === 0 || most < 1 ? [0, 0.5, 1] : [0, 1];
  const lines = halves.map((part) => [
    svg('line', { class: 'grid', x1: LEFT, x2: width, y1: y(part * most), y2: y(part * most) }),
    svg('text', { class: 'tick', x: LEFT - 6, y: y(part * most) + 4 * unit, 'text-anchor': 'end' }, short(part * most)),
  ]);
  const chart = svg('svg', { class: `chart ${kind}`, role: 'img', 'aria-label': label, viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT }, lines);
  return { chart, y };
}

const DAY = 86_400_000;
const spans = (from, until) => (until - from <= 3 * DAY ? clockText : dayText);

function ticks(chart, from, until, width) {
  const most = Math.max(2, Math.floor((width - LEFT) / (90 * unit)));
  const text = spans(from, until);
  // A day or an hour is named once.
  const whole = text === dayText ? DAY : DAY / 24;
  const step = Math.ceil((until - from) / most / whole) * whole;
  for (let at = new Date(from).setHours(24, 0, 0, 0) - (whole === DAY ? 0 : DAY); at < until; at += step) {
    const x = LEFT + ((at - from) / (until - from)) * (width - LEFT);
    if (x < LEFT || x > width - 20 * unit) continue;
    chart.append(svg('line', { class: 'grid', x1: x, x2: x, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 * unit }),
      svg('text', { class: 'tick', x, y: HEIGHT - 5 * unit, 'text-anchor': 'middle' }, text(at)));
  }
}

// Draws when it is in the document, and again when its width changes.
function drawn(draw) {
  const place = h('div', { class: 'figure' });
  let width = 0;
  new ResizeObserver(() => {
    const next = Math.round(place.clientWidth);
    if (next < 40 || next === width) return;
    width = next;
    place.replaceChildren(draw(width));
  }).observe(place);
  return place;
}

// bars: [{ at, length, parts: { critical: n, ... } }] in `from..until`, times in ms.
export function bars({ label, from, until, points, names = SEVERITIES }) {
  const total = (point) => names.reduce((sum, name) => sum + (point.parts[name] ?? 0), 0);
  const most = ceiling(Math.max(0, ...points.map(total)));
  return drawn((width) => {
    const { chart, y } = frame(width, most, label, 'bars');
    const x = (at) => LEFT + ((at - from) / (until - from)) * (width - LEFT);
    for (const point of points) {
      const left = Math.max(LEFT, x(point.at));
      const wide = Math.max(1.5, Math.min(width, x(point.at + point.length)) - left - 1);
      let base = 0;
      const bar = svg('g', {}, svg('title', {}, point.title));
      for (const name of [...names].reverse()) {
        const value = point.parts[name] ?? 0;
        if (value === 0) continue;
        bar.append(svg('rect', { class: `bar ${name}`, x: left, width: wide, y: y(base + value), height: Math.max(0.5, y(base) - y(base + value)) }));
        base += value;
      }
      chart.append(bar);
    }
    ticks(chart, from, until, width);
    return chart;
  });
}

// line: [{ at, value, min?, max? }].
export function line({ label, from, until, points }) {
  const most = ceiling(Math.max(0, ...points.map((point) => point.max ?? point.value)));
  return drawn((width) => {
    const { chart, y } = frame(width, most, label, 'line');
    const x = (at) => LEFT + ((at - from) / (until - from)) * (width - LEFT);
    const path = (list, of) => list.map((point) => `${x(point.at).toFixed(1)},${y(Math.max(0, of(point))).toFixed(1)}`).join(' ');
    if (points.some((point) => point.max !== undefined)) {
      const back = [...points].reverse();
      chart.append(svg('polygon', { class: 'band', points: `${path(points, (point) => point.max)} ${path(back, (point) => point.min)}` }));
    }
    chart.append(svg('polyline', { class: 'curve', points: path(points, (point) => point.value) }));
    ticks(chart, from, until, width);
    return chart;
  });
}

const TABLE_MOST = 200;

// The figures of a chart, closed until they are asked for.
export function figures(columns, rows) {
  const table = () => h('div', { class: 'scroll', tabindex: 0 }, h('table', {},
    h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col' }, column)))),
    h('tbody', {}, rows.slice(-TABLE_MOST).map((row) => h('tr', {}, row.map((cell) => h('td', {}, typeof cell === 'number' ? count(cell) : cell)))))),
  rows.length > TABLE_MOST && h('p', { class: 'dim' }, `The last ${TABLE_MOST} of ${count(rows.length)} rows; all are in the CSV.`));
  const details = h('details', { class: 'figures' }, h('summary', {}, 'Figures as a table'));
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) details.append(table());
  });
  return details;
}
