// <ds-spark run stage series step>: a line as small as a word. It asks again when its step has moved on far enough to show.
import { fetchBuckets } from './charts/buckets.js';

const width = 96, height = 26, again = 5000;

customElements.define('ds-spark', class extends HTMLElement {
  static observedAttributes = ['run', 'stage', 'series', 'step'];
  connectedCallback() {
    if (!this.shadowRoot) this.attachShadow({ mode: 'open' });
    this.load();
  }
  disconnectedCallback() { clearTimeout(this.timer); this.timer = null; }
  attributeChangedCallback() {
    if (!this.isConnected || this.timer || !this.shadowRoot) return;
    this.timer = setTimeout(() => { this.timer = null; this.load(); }, Math.max(0, again - (performance.now() - (this.loaded ?? 0))));
  }
  async load() {
    this.loaded = performance.now();
    const name = this.getAttribute('series');
    try {
      const { series } = await fetchBuckets({ run: this.getAttribute('run'), stage: this.getAttribute('stage'), names: name, px: width }, { fresh: true });
      this.draw(series.find(s => s.attempt === 0));
    } catch {
      this.shadowRoot.replaceChildren(); // the figure beside it says what there is to say
    }
  }
  draw(line) {
    const points = line ? [...line.mean].map((y, i) => [i, y]).filter(p => Number.isFinite(p[1])) : [];
    if (points.length < 2) { this.shadowRoot.replaceChildren(); return; }
    const ys = points.map(p => p[1]).sort((a, b) => a - b);
    const low = ys[0], high = ys[Math.min(ys.length - 1, Math.floor(ys.length * 0.985))], last = points[points.length - 1];
    const px = i => (i / Math.max(1, line.mean.length - 1)) * (width - 4) + 1;
    const py = y => height - 3 - Math.min(1, Math.max(0, (y - low) / (high - low || 1))) * (height - 6);
    const path = points.map((p, k) => `${k ? 'L' : 'M'}${px(p[0]).toFixed(1)} ${py(p[1]).toFixed(1)}`).join('');
    this.shadowRoot.innerHTML = `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" aria-hidden="true">
      <path d="${path}" fill="none" stroke="var(--ds-series-1)" stroke-width="1.5" stroke-linejoin="round"/>
      <circle cx="${px(last[0])}" cy="${py(last[1])}" r="2" fill="var(--ds-series-1)"/></svg>`;
  }
});
