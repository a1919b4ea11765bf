// Markdown to elements. Nothing of a text is ever read as HTML: what is no mark of Markdown is
// text. Links lead to http and https only; pictures are links. Every pattern is bounded, so that
// no text takes longer than its length.

import { h, outside, webAddress } from './dom.js';

const INLINE = new RegExp([
  '(?<fence>`{1,3})(?<code>[^`\\n]{1,2000})\\k<fence>',
  '!?\\[(?<text>[^\\[\\]\\n]{0,500})\\]\\((?<link>[^\\s()]{1,2000})(?: "[^"\\n]{0,300}")?\\)',
  '<(?<auto>https?://[^\\s<>]{1,2000})>',
  '\\*\\*(?<bold>[^\\s*](?:[^*\\n]{0,999}))\\*\\*',
  '\\*(?<em>[^\\s*](?:[^*\\n]{0,999}))\\*',
  '(?<![\\p{L}\\p{N}_])__(?<bold2>[^\\s_](?:[^_\\n]{0,999}))__(?![\\p{L}\\p{N}_])',
  '(?<![\\p{L}\\p{N}_])_(?<em2>[^\\s_](?:[^_\\n]{0,999}))_(?![\\p{L}\\p{N}_])',
  '~~(?<gone>[^~\\n]{1,1000})~~',
  '(?<bare>https?://[^\\s<>()\\[\\]"\'`]{1,2000})',
  '\\\\(?<escaped>[\\\\`*_{}\\[\\]()#+\\-.!~|>])',
].join('|'), 'gu');

const DEPTH = 3;

export function inline(text, depth = 0) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const made = element(match, depth);
    if (made === null) continue;
    if (match.index > at) parts.push(text.slice(at, match.index));
    parts.push(made);
    at = match.index + match[0].length;
  }
  if (at < text.length) parts.push(text.slice(at));
  return parts;
}

function element({ groups, 0: whole }, depth) {
  const inner = (text) => (depth < DEPTH ? inline(text, depth + 1) : [text]);
  if (groups.code !== undefined) return h('code', {}, groups.code.trim() || groups.code);
  if (groups.link !== undefined) {
    const href = webAddress(groups.link);
    // What leads elsewhere stays as it was written.
    return href && outside(href, ...inner(groups.text || groups.link));
  }
  const address = groups.auto ?? groups.bare;
  if (address !== undefined) {
    const trailing = groups.bare ? /[.,;:!?]*$/.exec(address)[0] : '';
    const shown = address.slice(0, address.length - trailing.length);
    const href = webAddress(shown);
    return href && h('span', {}, outside(href, shown), trailing);
  }
  const bold = groups.bold ?? groups.bold2;
  if (bold !== undefined) return h('strong', {}, inner(bold));
  const em = groups.em ?? groups.em2;
  if (em !== undefined) return h('em', {}, inner(em));
  if (groups.gone !== undefined) return h('s', {}, inner(groups.gone));
  return groups.escaped ?? whole;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]{0,30})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^(\s{0,12})(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}>\s?/;
const DIVIDER = /^\s*\|?\s*:?-{1,}:?\s*(\|\s*:?-{1,}:?\s*){0,50}\|?\s*$/;

// The elements of a text; headings begin at h3, below those of the page.
export function markdown(text) {
  return blocks(String(text ?? '').replaceAll('\r\n', '\n').split('\n'), 0);
}

function blocks(lines, depth) {
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (line.trim() === '') at += 1;
    else if (fence) at = code(lines, at, fence, made);
    else if (heading) {
      made.push(h(`h${Math.min(6, heading[1].length + 2)}`, {}, inline(heading[2])));
      at += 1;
    } else if (RULE.test(line)) {
      made.push(h('hr'));
      at += 1;
    } else if (QUOTE.test(line) && depth < DEPTH) {
      const from = at;
      while (at < lines.length && QUOTE.test(lines[at])) at += 1;
      made.push(h('blockquote', {}, blocks(lines.slice(from, at).map((one) => one.replace(QUOTE, '')), depth + 1)));
    } else if (ITEM.test(line) && depth < DEPTH * 2) at = list(lines, at, made, depth);
    else if (line.includes('|') && DIVIDER.test(lines[at + 1] ?? '') && lines[at + 1].includes('-')) at = table(lines, at, made);
    else at = paragraph(lines, at, made);
  }
  return made;
}

function code(lines, at, [, fence], made) {
  const body = [];
  let end = at + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(fence) && /^[`~\s]*$/.test(lines[end]))) {
    body.push(lines[end]);
    end += 1;
  }
  made.push(h('pre', { tabindex: 0 }, h('code', {}, body.join('\n'))));
  return end + 1;
}

function list(lines, at, made, depth) {
  const [, indent, , number] = ITEM.exec(lines[at]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    const deeper = /^\s/.test(lines[end]) && lines[end].search(/\S/) > indent.length;
    if (item && item[1].length <= indent.length) {
      if (item[1].length < indent.length || (item[3] === undefined) !== (number === undefined)) break;
      items.push([item[4]]);
    } else if (items.length > 0 && (deeper || (lines[end].trim() === '' && continues(lines, end, indent.length)))) {
      items.at(-1).push(lines[end].replace(new RegExp(`^\\s{0,${indent.length + 3}}`), ''));
    } else if (items.length > 0 && lines[end].trim() !== '' && lines[end - 1].trim() !== '' && !starts(lines[end])) {
      items.at(-1).push(lines[end]);
    } else break;
    end += 1;
  }
  const start = number !== undefined && Number(number) !== 1 ? Number(number) : undefined;
  made.push(h(number === undefined ? 'ul' : 'ol', { start }, items.map((item) => h('li', {}, tight(blocks(item, depth + 1))))));
  return Math.max(end, at + 1);
}

// A blank line goes on with the list only if what follows belongs to it.
function continues(lines, at, indent) {
  const next = lines.slice(at + 1, at + 3).find((line) => line.trim() !== '');
  return next !== undefined && (/^\s/.test(next) ? next.search(/\S/) > indent : ITEM.test(next));
}

const starts = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

// An item of one paragraph needs none around it.
function tight(made) {
  const [first] = made;
  return first?.localName === 'p' ? [...first.childNodes, ...made.slice(1)] : made;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, '').split('|').slice(0, 50).map((cell) => cell.trim());

function table(lines, at, made) {
  let end = at + 2;
  while (end < lines.length && lines[end].includes('|') && lines[end].trim() !== '') end += 1;
  const row = (tag) => (line) => h('tr', {}, cells(line).map((cell) => h(tag, {}, inline(cell))));
  made.push(h('div', { class: 'scroll', tabindex: 0 }, h('table', {},
    h('thead', {}, row('th')(lines[at])), h('tbody', {}, lines.slice(at + 2, end).map(row('td'))))));
  return end;
}

function paragraph(lines, at, made) {
  const text = [];
  let end = at;
  while (end < lines.length && lines[end].trim() !== '' && (end === at || !starts(lines[end]))) {
    text.push(lines[end].trim());
    end += 1;
  }
  // What people and alerts write breaks lines where they did.
  made.push(h('p', {}, text.flatMap((line, n) => (n === 0 ? inline(line) : [h('br'), ...inline(line)]))));
  return end;
}
