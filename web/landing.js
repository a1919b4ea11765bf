// Without a key: what this is, the public summary, and where the key goes.

import { session } from './api.js';
import { field, fill, h } from './dom.js';
import { age, count } from './format.js';
import { state, subscribe } from './live.js';

const figure = (number, text) => h('li', {}, h('strong', {}, number === undefined ? '–' : count(number)), h('span', {}, text));

const briefs = (title, list) => list?.length > 0 && h('section', {}, h('h2', {}, title),
  h('ul', { class: 'briefs' }, list.map((brief) => h('li', {}, h('span', { class: `severity ${brief.severity}` }, brief.severity), h('span', { class: 'name' }, brief.title),
    h('span', { class: 'dim' }, `×${count(brief.occurrences)}, ${age(brief.lastUpdated)}`)))));

export function show(main, begun, sentence) {
  const told = h('p', { class: 'told', role: 'alert' }, sentence);
  const key = h('input', { type: 'password', required: true, autocomplete: 'off', spellcheck: 'false' });
  const summary = h('div', { class: 'public' });
  fill(main, h('div', { class: 'landing' },
    h('section', { class: 'about' }, h('h1', { tabindex: -1 }, 'What fires, and what helps'),
      h('p', {}, 'This service takes in alerts, learns from each of them, and answers questions about what was seen before. ',
        'It shows what your key’s role allows: a viewer reads, an operator also asks, writes and notes.'),
      h('form', {
        class: 'key',
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            await session.begin(key.value.trim());
            begun();
          } catch (error) {
            fill(told, error.status === 401 ? 'The service does not know this key.' : error.message);
            key.select();
          }
        },
      }, field('API key', key, 'It is kept in this tab until you close it, and sent to this service only.'), h('button', { type: 'submit' }, 'Open'), told)),
    summary));
  const update = () => {
    const { summary: found } = state;
    if (!found) return;
    fill(summary,
      h('ul', { class: 'numbers' }, figure(found.alerts.firing, 'fire now'), figure(found.alerts.last24Hours, 'in 24 hours'),
        figure(found.stats.total - found.stats.openQuestions, 'entries known'), figure(found.stats.openQuestions, 'open questions')),
      briefs('What occurs most', found.topIssues), briefs('Learned last', found.recentLearnings));
    performance.mark('landing:shown');
  };
  const unsubscribe = subscribe(update);
  update();
  key.focus();
  return { title: () => 'orchestrator', focused: true, close: unsubscribe };
}
