// A long list of which only what is seen is in the document. Rows are links of one height; arrow
// keys, Home, End and Page keys move among all of them, rendered or not.

import { h } from './dom.js';

const AROUND = 6;

// row(item) → the content of a row; href(item) → its address; key(item) → what it is known by.
export function windowed({ label, key, href, row, near }) {
  let items = [];
  let height = 0;
  let current = 0;
  let chosen = null;
  const rendered = new Map();
  const space = h('ul', { class: 'rows', role: 'list', 'aria-label': label });
  const element = h('div', { class: 'list', onscroll: () => render(), onkeydown: move }, space);
  new ResizeObserver(() => { height = 0; render(); }).observe(element);

  function line(item) {
    const address = href(item);
    const elsewhere = !address.startsWith('#');
    return h('li', {}, h('a', {
      class: 'row', href: address, target: elsewhere && '_blank', rel: elsewhere && 'noopener noreferrer',
    }, row(item)));
  }

  function measure() {
    if (height > 0 || items.length === 0) return;
    const probe = line(items[0]);
    space.append(probe);
    height = probe.offsetHeight;
    probe.remove();
  }

  function tabbable() {
    for (const { item, node } of rendered.values()) {
      const link = node.firstChild;
      link.tabIndex = items[current] === item ? 0 : -1;
      if (key(item) === chosen) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
  }

  function render() {
    measure();
    if (height === 0) { space.style.height = '0'; space.replaceChildren(); rendered.clear(); return; }
    space.style.height = `${items.length * height}px`;
    const first = Math.max(0, Math.floor(element.scrollTop / height) - AROUND);
    const last = Math.min(items.length, Math.ceil((element.scrollTop + element.clientHeight) / height) + AROUND);
    const focused = space.contains(document.activeElement) ? items[current] && key(items[current]) : null;
    const wanted = new Map();
    for (let at = first; at < last; at += 1) wanted.set(key(items[at]), at);
    for (const [id, { node, item }] of rendered) {
      const at = wanted.get(id);
      if (at === undefined || items[at] !== item) { node.remove(); rendered.delete(id); }
    }
    let before = null;
    for (const [id, at] of wanted) {
      let known = rendered.get(id);
      if (!known) {
        known = { item: items[at], node: line(items[at]) };
        rendered.set(id, known);
      }
      const { node } = known;
      node.style.transform = `translateY(${at * height}px)`;
      node.setAttribute('aria-posinset', at + 1);
      node.setAttribute('aria-setsize', items.length);
      node.firstChild.onfocus = () => { current = at; tabbable(); };
      // In the order of the list, as it is read aloud.
      if (node.previousSibling !== before || !node.parentNode) {
        if (before) before.after(node); else space.prepend(node);
      }
      before = node;
    }
    tabbable();
    if (focused !== null && !space.contains(document.activeElement)) rendered.get(focused)?.node.firstChild.focus({ preventScroll: true });
    if (near && last >= items.length - AROUND) near();
  }

  function move(event) {
    const page = Math.max(1, Math.floor(element.clientHeight / height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || items.length === 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    current = Math.min(items.length - 1, Math.max(0, current + step));
    const top = current * height;
    if (top < element.scrollTop) element.scrollTop = top;
    if (top + height > element.scrollTop + element.clientHeight) element.scrollTop = top + height - element.clientHeight;
    render();
    rendered.get(key(items[current]))?.node.firstChild.focus({ preventScroll: true });
  }

  return {
    element,
    set(next, selected = chosen) {
      const at = items[current] && key(items[current]);
      items = next;
      chosen = selected;
      const again = items.findIndex((item) => key(item) === at);
      current = Math.max(0, again >= 0 ? again : items.findIndex((item) => key(item) === chosen));
      render();
    },
  };
}
