// How things are written: ages, durations, counts, severities, and where an alert is.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const SEVERITIES = ['critical', 'high', 'medium', 'low'];

export const CATEGORIES = [
  ['alert_pattern', 'alert pattern'], ['runbook', 'runbook'], ['troubleshooting', 'troubleshooting'],
  ['metric_anomaly', 'metric anomaly'], ['optimization', 'optimization'], ['question', 'open question'],
];

export const categoryName = (category) =>
  CATEGORIES.find(([name]) => name === category)?.[1] ?? category;

// The words that alerts use, where no entry says what they mean.
const WORDS = {
  critical: 'critical', crit: 'critical', fatal: 'critical', emergency: 'critical', disaster: 'critical',
  p1: 'critical', error: 'high', err: 'high', high: 'high', major: 'high', page: 'high', urgent: 'high',
  p2: 'high', warning: 'medium', warn: 'medium', medium: 'medium', average: 'medium',
  moderate: 'medium', minor: 'medium', p3: 'medium',
};
export const severityOf = (word) => WORDS[String(word ?? '').trim().toLowerCase()] ?? 'low';
export const rank = (severity) => SEVERITIES.indexOf(severity);

const units = [['d', DAY], ['h', HOUR], ['min', MINUTE], ['s', 1000]];

// 95 s → 1 min 35 s; two units at most.
export function duration(ms) {
  if (!Number.isFinite(ms)) return '';
  let rest = Math.max(0, Math.round(ms / 1000) * 1000);
  const parts = [];
  for (const [unit, length] of units) {
    const count = Math.floor(rest / length);
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
    rest -= count * length;
    if (parts.length === 2) break;
  }
  return parts.join(' ') || '0 s';
}

// The age of a moment, in one unit.
export function age(at, now = Date.now()) {
  const ms = now - Number(at);
  if (!Number.isFinite(ms)) return '';
  if (ms < MINUTE) return 'now';
  const [unit, length] = units.find(([, unitLength]) => ms >= unitLength);
  return `${Math.floor(ms / length)} ${unit}`;
}

const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export const dayText = (at) => day.format(new Date(at));
export const clockText = (at) => clock.format(new Date(at));
export const timeText = (at) => whole.format(new Date(at));

const number = new Intl.NumberFormat('en');
export const count = (n) => number.format(n ?? 0);
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;
export const percent = (part) => `${Math.round(part * 100)} %`;

const shortNumber = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 });
export const short = (value) =>
  Math.abs(value) < 0.01 && value !== 0 ? value.toExponential(1) : shortNumber.format(value);

const PLACES = ['instance', 'pod', 'host', 'hostname', 'node', 'device', 'service', 'job', 'namespace', 'cluster'];
const NOT_PLACES = ['alertname', 'severity', 'priority', 'level', 'cause'];

// Where an alert is: the label that says it best.
export function place(labels) {
  const name = PLACES.find((known) => labels[known])
    ?? Object.keys(labels).find((label) => !NOT_PLACES.includes(label));
  return name ? labels[name] : '';
}

export function places(alerts, most = 3) {
  const all = [...new Set(alerts.map((alert) => place(alert.labels)).filter(Boolean))];
  const rest = all.length - most;
  return all.slice(0, most).join(', ') + (rest > 0 ? ` +${rest}` : '');
}

// The first line that says something, without the marks of Markdown.
export function firstLine(text) {
  const line = String(text ?? '').split('\n').map((one) => one.trim())
    .find((one) => one && !/^(```|#|---)/.test(one)) ?? '';
  return line.replace(/^([-*+]|\d{1,3}[.)])\s+/, '').replace(/`|\*\*/g, '').slice(0, 300);
}

// The one thing to do first.
export const firstThing = (entry) =>
  firstLine(entry?.steps?.[0]) || firstLine(entry?.solution) || firstLine(entry?.description);
