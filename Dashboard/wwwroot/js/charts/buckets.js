// GET /series/buckets: one bucket per pixel with min, max, mean and last, so that no spike is lost however far out one looks, and with
// the number of its points that are no numbers, so that those are not lost either.
const kept = new Map(); // newest last; a going back in zoom is drawn without a request
const limit = 48;

export function decode(buffer) {
  const head = new Int32Array(buffer, 0, 4);
  const [version, count, n, columns] = head;
  if (version !== 2) throw new Error(`This page reads series of version 2 and got ${version}. Reload it.`);
  const x = new Float64Array(buffer, 16, n);
  const series = [];
  let at = 16 + 8 * n;
  for (let s = 0; s < count; s++) {
    const [name, attempt] = new Int32Array(buffer, at, 2);
    at += 8;
    const column = () => { const c = new Float32Array(buffer, at, n); at += 4 * n; return c; };
    const one = { name, attempt, min: column(), max: column(), mean: column(), last: column(), bad: column() };
    one.smoothed = columns > 5 ? column() : null;
    series.push(one);
  }
  return { x, series };
}

export async function fetchBuckets(query, { fresh = false, signal } = {}) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== '') params.set(key, value);
  const url = `/series/buckets?${params}`;
  if (!fresh && kept.has(url)) return kept.get(url);
  const reply = await fetch(url, { signal });
  if (!reply.ok) throw new Error(await problemOf(reply));
  const decoded = decode(await reply.arrayBuffer());
  kept.delete(url);
  kept.set(url, decoded);
  if (kept.size > limit) kept.delete(kept.keys().next().value);
  return decoded;
}

export async function problemOf(reply) {
  const body = await reply.json().catch(() => null);
  const first = body?.errors?.[0];
  return first ? `${first.field}: ${first.value ?? ''} ${first.fix ?? ''}` : body?.title ?? `The series answered ${reply.status}.`;
}
