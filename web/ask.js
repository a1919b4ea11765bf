// Ask: the question box, for a sentence or a pasted log; the answer; open questions to answer.

import { call, get, session } from './api.js';
import { answer } from './answer.js';
import { fill, h } from './dom.js';
import { many, timeText } from './format.js';

// What the service takes; the address holds shorter ones.
const MOST = 20_000;
const ADDRESS_MOST = 1_500;

// Terminals colour what people paste; the service takes no control characters.
export const clean = (text) => text
  .replace(/\u001b\[[0-9;?]{0,20}[ -/]?[@-~]/g, '')
  .replace(/\r\n?/g, '\n')
  .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
  .trim();

function openQuestions(place, signal) {
  get('/api/knowledge/entries', { category: 'question', sort: 'occurrences', limit: 50 }, { signal }).then(({ entries }) => {
    if (entries.length === 0) return;
    fill(place, h('h2', {}, `Open questions`), h('ul', { class: 'questions' }, entries.map((question) => h('li', {},
      h('span', { class: 'query' }, question.title),
      h('span', { class: 'dim' }, ` asked ${many(question.occurrences, 'time')}, last ${timeText(question.lastUpdated)} `),
      session.may('operator') && h('a', { href: `#/new?${new URLSearchParams({ title: question.title })}` }, 'Answer')))));
  }, () => {});
}

export function show(main, route) {
  const closing = new AbortController();
  const { signal } = closing;
  const open = h('section');
  const result = h('section', { class: 'answer', 'aria-live': 'off' });
  const told = h('p', { class: 'told', role: 'status' });
  if (!session.may('operator')) {
    fill(main, h('div', { class: 'column' }, h('h1', { tabindex: -1 }, 'Ask'),
      h('p', {}, 'Asking is kept, so it takes a key of the role operator; yours is a viewer’s. All entries are under ',
        h('a', { href: '#/knowledge' }, 'Knowledge'), '.'), open));
    openQuestions(open, signal);
    return { title: () => 'Ask', close: () => closing.abort() };
  }
  const box = h('textarea', {
    id: 'question', rows: 3, maxlength: MOST, spellcheck: 'false', value: route.query.get('q') ?? '',
    placeholder: 'What do you see? A sentence, an alert’s name, or a pasted log.',
    onkeydown: (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
    },
  });
  const button = h('button', { type: 'submit' }, 'Ask');
  const form = h('form', {
    class: 'ask',
    onsubmit: (event) => {
      event.preventDefault();
      const text = clean(box.value);
      if (!text) return;
      const address = text.length <= ADDRESS_MOST ? `#/ask?${new URLSearchParams({ q: text })}` : '#/ask';
      if (address !== location.hash) history.pushState(null, '', address);
      ask(text);
    },
  }, h('label', { for: 'question' }, 'Your question'), box, h('div', { class: 'bar' }, button,
    h('small', { class: 'dim' }, 'Enter asks, Shift+Enter begins a line')));
  fill(main, h('div', { class: 'column' }, h('h1', { tabindex: -1 }, 'Ask'), form, told, result, open));

  async function ask(text) {
    button.disabled = true;
    fill(told, 'Looking …');
    try {
      const { data } = await call('/api/knowledge/query', { method: 'POST', body: { text }, signal });
      answer(result, data);
      fill(told);
      fill(open);
      result.querySelector('h2').focus();
      performance.mark('ask:answered');
    } catch (error) {
      if (!signal.aborted) fill(told, error.message, error.details.map(({ message }) => ` ${message}.`));
    }
    button.disabled = false;
  }

  openQuestions(open, signal);
  const asked = clean(box.value);
  if (asked) ask(asked); else box.focus();
  performance.mark('ask:shown');
  return { title: () => 'Ask', focused: true, close: () => closing.abort() };
}
