// Calls every route of the running service with the types that openapi-typescript generated: that
// this compiles shows that they fit, and that it runs shows that the service does what they say.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import createClient from 'openapi-fetch';
import type { paths } from './schema.js';

const env = (name: string) => process.env[name] ?? assert.fail(`${name} is not set`);
const as = (key?: string) =>
  createClient<paths>({
    baseUrl: env('API_URL'),
    headers: key === undefined ? {} : { Authorization: `Bearer ${key}` },
  });
const [stranger, admin, sender] = [as(), as(env('API_KEY')), as(env('WEBHOOK_TOKEN'))];

const called = new Set<string>();
for (const client of [stranger, admin, sender]) {
  client.use({
    onResponse: ({ request, response, schemaPath }) => {
      if (response.ok) called.add(`${request.method} ${schemaPath}`);
    },
  });
}

/** What came, if it is no failure. */
function good<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  assert.ok(answer.response.ok, `${answer.response.url}: ${JSON.stringify(answer.error)}`);
  return answer.data as T;
}

assert.equal(good(await stranger.GET('/health')).status, 'healthy');
assert.equal(good(await stranger.GET('/ready')).status, 'ready');
good(await stranger.GET('/api/openapi.json'));
const html = good(await stranger.GET('/', { parseAs: 'text' }));
const [, edition, name] = /"\/assets\/(\w+)\/([\w.]+)"/.exec(html) ?? assert.fail('no file in the page');
const asset = { path: { edition: edition!, file: name! } };
good(await stranger.GET('/assets/{edition}/{file}', { params: asset, parseAs: 'text' }));
assert.equal(good(await stranger.GET('/api/persistence/health')).database, true);

const labels = { alertname: 'QueueFull', severity: 'high', instance: 'mq-1' };
const alert = { status: 'firing' as const, labels, annotations: { summary: 'The queue is full' } };
const received = good(await sender.POST('/webhook/alerts', { body: { alerts: [alert] } }));
assert.deepEqual([received.status, received.new], ['ok', 1]);
const alerts = good(
  await admin.GET('/api/alerts', { params: { query: { alertname: 'QueueFull', status: 'firing' } } }),
);
const pattern = alerts.alerts[0]?.entryId ?? assert.fail('no alert is listed');

const made = await admin.POST('/api/knowledge/entries', { body: { title: 'Broker', severity: 'low' } });
const { id } = good(made);
const path = { id };
const etag = made.response.headers.get('etag') ?? assert.fail('no ETag');
const replaced = good(
  await admin.PUT('/api/knowledge/entries/{id}', {
    params: { path, header: { 'If-Match': etag } },
    body: { title: 'Broker', solution: 'Restart it' },
  }),
);
assert.equal(replaced.solution, 'Restart it');
const patched = good(
  await admin.PATCH('/api/knowledge/entries/{id}', { params: { path }, body: { severity: 'critical' } }),
);
assert.equal(patched.severity, 'critical');
const noted = good(
  await admin.POST('/api/knowledge/entries/{id}/notes', { params: { path }, body: { text: 'Seen' } }),
);
assert.equal(noted.notes[0]?.text, 'Seen');
const helped = good(
  await admin.POST('/api/knowledge/entries/{id}/feedback', { params: { path }, body: { helped: true } }),
);
assert.equal(helped.helped, 1);
assert.equal(good(await admin.GET('/api/knowledge/entries/{id}', { params: { path } })).id, id);
const query = { sort: 'title', limit: 1 } as const;
assert.equal(good(await admin.GET('/api/knowledge/entries', { params: { query } })).entries.length, 1);

const answer = good(await admin.POST('/api/knowledge/query', { body: { query: 'queue full' } }));
assert.ok(answer.sources.includes(pattern), JSON.stringify(answer.sources));
assert.ok(good(await stranger.GET('/api/knowledge/summary')).alerts.firing >= 1);
good(await admin.GET('/api/knowledge/export', { params: { query: { format: 'json' } } }));
const history = good(
  await admin.GET('/api/persistence/historical', { params: { query: { alertname: 'QueueFull' } } }),
);
assert.equal(history.alertsCount, 1);
good(await admin.GET('/api/persistence/export', { params: { query: { collection: ['alerts'] } } }));
assert.ok(good(await admin.GET('/api/auth/me')).roles.includes('admin'));
good(await admin.POST('/mcp', { body: { jsonrpc: '2.0', id: 1, method: 'ping' } }));
good(await admin.DELETE('/api/knowledge/entries/{id}', { params: { path } }));

const file = process.argv[2] ?? assert.fail('which document?');
const document = JSON.parse(readFileSync(file, 'utf8')) as { paths: Record<string, object> };
const documented = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
);
assert.deepEqual(documented.filter((route) => !called.has(route)), [], 'no client called these');
