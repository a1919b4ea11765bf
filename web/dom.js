// Elements from values. Every value becomes text or an attribute, never markup: what alerts and
// people write cannot become part of the page.

const SVG = 'http://www.w3.org/2000/svg';

function build(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked') element[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === '') continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

// h('a', { href, class, onclick }, 'text', otherElement, ...)
export const h = (tag, props, ...children) =>
  build(document.createElement(tag), props, children);

export const svg = (tag, props, ...children) =>
  build(document.createElementNS(SVG, tag), props, children);

export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

// Alerts and entries name pages elsewhere; only addresses of the web are followed.
export function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}

export const outside = (href, ...text) =>
  h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, ...text);

let ids = 0;
export const newId = () => `x${(ids += 1)}`;

// A labelled control: field('Title', h('input', ...)).
export function field(label, control, hint) {
  control.id ||= newId();
  const hintId = hint && newId();
  if (hintId) control.setAttribute('aria-describedby', hintId);
  return h('div', { class: 'field' },
    h('label', { for: control.id }, label), control,
    hint && h('small', { id: hintId }, hint));
}

export const select = (props, options, chosen) =>
  h('select', props, options.map(([value, text]) =>
    h('option', { value, selected: value === (chosen ?? '') }, text)));
