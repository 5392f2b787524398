// <ds-spark run stage series step>: a line as small as a word. All that are on the screen ask together, one call for the whole list, and
// again when a step has moved on far enough to show.
const width = 96, height = 26, again = 5000, atOnce = 100;
const seen = new Set(), waiting = new Set();
let timer = null, asked = -Infinity;

const watch = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) { seen.add(target); if (target.stale) wantNow(target); } else seen.delete(target);
  }
});

function want(spark) {
  waiting.add(spark);
  timer ??= setTimeout(ask, Math.max(30, again - (performance.now() - asked)));
}

// A row that appears is drawn at once; those that only moved on wait for the others.
function wantNow(spark) {
  waiting.add(spark);
  if (spark.drawn === undefined) { clearTimeout(timer); timer = setTimeout(ask, 30); } else want(spark);
}

async function ask() {
  timer = null;
  asked = performance.now();
  const all = [...waiting].filter(s => s.isConnected);
  waiting.clear();
  for (const series of new Set(all.map(s => s.getAttribute('series')))) {
    const own = all.filter(s => s.getAttribute('series') === series);
    for (let i = 0; i < own.length; i += atOnce) await load(series, own.slice(i, i + atOnce));
  }
}

async function load(series, sparks) {
  const key = (run, stage) => `${run}/${stage}`;
  const of = s => key(s.getAttribute('run'), s.getAttribute('stage'));
  for (const s of sparks) s.stale = false;
  try {
    const reply = await fetch(`/series/sparks?${new URLSearchParams({ of: [...new Set(sparks.map(of))].join(','), name: series, px: width })}`);
    if (!reply.ok) return;
    const lines = new Map((await reply.json()).map(line => [key(line.run, line.stage), line]));
    for (const s of sparks) if (lines.has(of(s))) s.draw(lines.get(of(s)));
  } catch {
    for (const s of sparks) s.stale = true; // the figure beside it says what there is to say
  }
}

customElements.define('ds-spark', class extends HTMLElement {
  static observedAttributes = ['run', 'stage', 'series', 'step'];
  connectedCallback() {
    if (!this.shadowRoot) this.attachShadow({ mode: 'open' });
    this.stale = true;
    watch.observe(this);
  }
  disconnectedCallback() { watch.unobserve(this); seen.delete(this); waiting.delete(this); }
  attributeChangedCallback(name, old, now) {
    if (!this.isConnected || old === now) return;
    if (name === 'run' || name === 'stage') this.drawn = undefined;
    this.stale = true;
    if (seen.has(this)) wantNow(this);
  }
  // Points that are no numbers end the line; a dot at the floor says that the newest is one.
  draw({ mean, notFinite, ended }) {
    this.drawn = true;
    const points = mean.map((y, i) => [i, y]).filter(p => p[1] !== null);
    if (points.length < 2 && !ended) { this.shadowRoot.replaceChildren(); return; }
    const ys = points.map(p => p[1]).sort((a, b) => a - b);
    const low = ys[0] ?? 0, high = ys[Math.min(ys.length - 1, Math.floor(ys.length * 0.985))] ?? 1;
    const px = i => (i / Math.max(1, mean.length - 1)) * (width - 4) + 1;
    const py = y => height - 3 - Math.min(1, Math.max(0, (y - low) / (high - low || 1))) * (height - 6);
    const path = points.map((p, k) => `${k && mean[p[0] - 1] !== null ? 'L' : 'M'}${px(p[0]).toFixed(1)} ${py(p[1]).toFixed(1)}`).join('');
    const last = points.at(-1);
    const [x, y, colour] = ended ? [px(mean.length - 1), height - 3, 'var(--ds-status-bad)'] : [px(last[0]), py(last[1]), 'var(--ds-series-1)'];
    this.shadowRoot.innerHTML = `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" aria-hidden="true">
      <path d="${path}" fill="none" stroke="var(--ds-series-1)" stroke-width="1.5" stroke-linejoin="round"/>
      <circle cx="${x}" cy="${y}" r="2" fill="${colour}"/></svg>`;
    this.title = notFinite ? `${notFinite} not a number` : '';
  }
});
