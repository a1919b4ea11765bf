// Calls of the service, with the key of this tab. The key is in sessionStorage: it ends with the
// tab, and no other site can read it.

const KEY = 'orchestrator.key';
const RETRY_MOST_SECONDS = 60;

export class Refusal extends Error {
  constructor(status, body, retryAfter) {
    super(body?.error ?? (status ? `The service answered ${status}` : 'The service does not answer'));
    this.status = status;
    this.details = body?.details ?? [];
    this.entry = body?.entry;
    this.requestId = body?.requestId;
    this.retryAfter = retryAfter;
  }
}

export const session = {
  me: null,
  get key() { return sessionStorage.getItem(KEY); },
  may(role) { return this.me?.roles.includes(role) ?? false; },
  // Takes the key if the service knows it.
  async begin(key) {
    const { data } = await request('/api/auth/me', { key });
    sessionStorage.setItem(KEY, key);
    this.me = data;
  },
  end() {
    sessionStorage.removeItem(KEY);
    this.me = null;
  },
};

// What is to happen when the key is refused, and while a limit is waited for.
export const hooks = { refused() {}, waiting() {} };

const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason); });
});

async function request(path, { method = 'GET', body, etag, ifMatch, key = session.key, signal } = {}) {
  const headers = {};
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (etag) headers['If-None-Match'] = etag;
  if (ifMatch) headers['If-Match'] = ifMatch;
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal, cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0);
  }
  const text = await response.text();
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { /* said by the status */ }
  if (!response.ok && response.status !== 304) {
    throw new Refusal(response.status, data, Number(response.headers.get('Retry-After')) || 0);
  }
  return {
    status: response.status, data, etag: response.headers.get('ETag'),
    remaining: Number(response.headers.get('RateLimit-Remaining') ?? Infinity),
  };
}

// A call; where a read meets a limit it is made again when the service said.
export async function call(path, options = {}) {
  try {
    return await request(path, options);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) hooks.refused(error);
    const again = (error.status === 429 || error.status === 503) && !options.method && !options.once;
    if (!again || error.retryAfter > RETRY_MOST_SECONDS) throw error;
    hooks.waiting(error);
    await pause(Math.max(1, error.retryAfter) * 1000, options.signal);
    return request(path, options);
  }
}

export const get = async (path, parameters = {}, options = {}) => {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== ''));
  const { data } = await call(query.size ? `${path}?${query}` : path, options);
  return data;
};

export const entryPath = (id) => `/api/knowledge/entries/${encodeURIComponent(id)}`;
