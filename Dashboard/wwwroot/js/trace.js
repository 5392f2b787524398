// <ds-trace src>: recorded steps of each rank on one canvas, a row for a rank, fetched by address. Point at a span, or walk: left and right
// along a rank, up and down between ranks, + and - zoom, Home shows all. Dragging zooms too.
const row = 26, head = 20, pad = 4;
const colour = {
  forward: '--ds-series-1', backward: '--ds-series-3', backward_inputs: '--ds-series-3', backward_weights: '--ds-series-6', update: '--ds-series-5',
  collective: '--ds-series-4', send: '--ds-series-2', receive: '--ds-sunken', rollout: '--ds-status-idle', evaluation: '--ds-status-idle', save: '--ds-status-idle',
};
const calls = new Set(['collective', 'send', 'receive']);
const time = us => us < 1e3 ? `${Math.round(us)} µs` : us < 1e6 ? `${(us / 1e3).toFixed(1)} ms` : `${(us / 1e6).toFixed(2)} s`;

function read(trace) {
  const ranks = (trace.drawn ?? []).map(rank => {
    const s = rank.spans ?? {}, from = Number(s.fromNanoseconds ?? 0) / 1e3, names = s.names ?? [];
    const spans = (s.name ?? []).map((name, i) => {
      const [kind, ...words] = names[name].split(': ');
      return { kind, words: words.join(': '), from: from + s.beganMicroseconds[i], took: s.tookMicroseconds[i] };
    });
    return { rank: rank.rank ?? 0, place: `pp ${rank.pipeline ?? 0} dp ${rank.data ?? 0} ep ${rank.expert ?? 0}`, pipeline: rank.pipeline ?? 0, spans };
  });
  const first = Math.min(...ranks.flatMap(r => r.spans.filter(s => s.kind === 'step').map(s => s.from)));
  for (const span of ranks.flatMap(r => r.spans)) span.from -= first;
  // What lies before the first step is how the ranks met.
  for (const rank of ranks) rank.spans = rank.spans.filter(s => s.from + s.took > 0);
  return ranks;
}

customElements.define('ds-trace', class extends HTMLElement {
  static observedAttributes = ['src'];
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.sizes = new ResizeObserver(() => this.soon());
    this.sizes.observe(this);
    this.theme = new MutationObserver(() => this.soon());
    this.theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    this.load();
  }
  disconnectedCallback() { this.sizes.disconnect(); this.theme.disconnect(); }
  attributeChangedCallback() { if (this.shadowRoot) this.load(); }
  build() {
    this.style.cssText = 'display:block;position:relative;min-width:0';
    this.attachShadow({ mode: 'open' }).innerHTML = `<style>
      canvas { display: block; width: 100%; touch-action: pan-y; cursor: crosshair; }
      canvas:focus-visible, button:focus-visible { outline: 2px solid var(--mud-palette-primary); outline-offset: 3px; border-radius: 4px; }
      p { margin: 0; font-size: .84rem; color: var(--mud-palette-text-secondary); }
      p:empty { display: none; }
      div { display: flex; gap: .35rem; justify-content: flex-end; margin-bottom: .3rem; }
      button { font: inherit; font-size: .8rem; min-width: 2.2em; padding: .15rem .5rem; border-radius: 6px; cursor: pointer; color: var(--mud-palette-text-primary);
        background: var(--mud-palette-surface); border: 1px solid var(--mud-palette-lines-inputs); }
      output { position: absolute; z-index: 5; max-width: 100%; box-sizing: border-box; padding: .25rem .5rem; font-size: .8rem; pointer-events: none; border-radius: 6px;
        color: var(--mud-palette-text-primary); background: var(--ds-tooltip); border: 1px solid var(--mud-palette-divider); box-shadow: var(--mud-elevation-4); }
      output:empty { display: none; }
    </style><p role="status"></p><div role="group" aria-label="Zoom"><button type="button" id="in" aria-label="Zoom in">+</button><button type="button" id="out" aria-label="Zoom out">−</button>
      <button type="button" id="all">All of it</button></div><canvas tabindex="0" role="application"></canvas><output aria-live="polite"></output>`;
    const find = what => this.shadowRoot.querySelector(what);
    [this.canvas, this.tip, this.state] = ['canvas', 'output', 'p'].map(find);
    this.canvas.setAttribute('aria-label', `Chart of ${this.getAttribute('aria-label')}. Arrow keys move over spans and ranks, plus and minus zoom, Home shows all.`);
    find('#in').addEventListener('click', () => this.zoom(.5));
    find('#out').addEventListener('click', () => this.zoom(2));
    find('#all').addEventListener('click', () => this.zoom(Infinity));
    this.canvas.addEventListener('pointermove', e => this.move(e));
    this.canvas.addEventListener('pointerdown', e => { this.drag = e.offsetX; this.move(e); });
    this.canvas.addEventListener('pointerup', e => this.drop(e));
    this.canvas.addEventListener('pointerleave', () => { this.drag = undefined; this.point(null); });
    this.canvas.addEventListener('blur', () => this.point(null));
    this.canvas.addEventListener('keydown', e => this.key(e));
  }
  async load() {
    const src = this.getAttribute('src');
    if (!src || src === this.shown) return;
    this.shown = src;
    try {
      const answer = await fetch(src, { headers: { Accept: 'application/json' } });
      if (!answer.ok) throw new Error(`${answer.status}`);
      const ranks = read(await answer.json());
      if (src !== this.shown) return;
      this.ranks = ranks;
      this.pointed = null;
      this.whole = [0, Math.max(1, ...ranks.flatMap(r => r.spans.map(s => s.from + s.took)))];
      this.view = this.whole;
      this.state.textContent = ranks.some(r => r.spans.length) ? '' : 'What the ranks did from moment to moment did not come; their sums are below.';
    } catch {
      this.shown = null;
      this.state.textContent = 'The recording cannot be read now. Load the page again.';
    }
    this.soon();
  }
  soon() {
    if (this.shadowRoot && !this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }
  draw() {
    const width = Math.floor(this.clientWidth);
    if (!width || !this.ranks?.length) return;
    const dots = devicePixelRatio || 1, height = head + this.ranks.length * row, style = getComputedStyle(this), tint = name => style.getPropertyValue(name).trim();
    this.canvas.width = Math.round(width * dots);
    this.canvas.height = Math.round(height * dots);
    this.canvas.style.height = `${height}px`;
    const g = this.canvas.getContext('2d'), left = width < 560 ? 62 : 138;
    g.setTransform(dots, 0, 0, dots, 0, 0);
    g.font = '11px system-ui, sans-serif';
    const [from, to] = this.view, scale = (width - left - 2) / (to - from), x = at => left + (at - from) * scale;
    this.plan = { left, width, scale, x };
    this.axis(g, tint, height);
    g.textBaseline = 'middle';
    this.ranks.forEach((rank, r) => {
      const top = head + r * row;
      g.fillStyle = tint('--ds-axis');
      g.textAlign = 'left';
      g.fillText(width < 560 ? `${rank.rank} · pp ${rank.pipeline}` : `${rank.rank} · ${rank.place}`, 2, top + row / 2);
      g.save();
      g.beginPath();
      g.rect(left, top, width - left, row);
      g.clip();
      // Passes first, then the calls within them; of what is narrower than a dot one stands for its neighbours.
      for (const inner of [false, true]) {
        const done = {};
        for (const s of rank.spans) {
          if (!colour[s.kind] || calls.has(s.kind) !== inner || s.from > to || s.from + s.took < from) continue;
          const a = x(s.from), b = Math.max(a + 1 / dots, x(s.from + s.took));
          if (b <= (done[s.kind] ?? -1)) continue;
          done[s.kind] = b;
          const [y, tall] = inner && s.kind !== 'receive' ? [top + row / 2, row / 2 - pad] : [top + pad, row - 2 * pad];
          g.fillStyle = tint(colour[s.kind]);
          g.fillRect(a, y, b - a, tall);
          if (s.kind === 'receive' && b - a > 2) {
            g.strokeStyle = tint('--ds-cursor');
            g.strokeRect(a + .5, y + .5, b - a - 1, tall - 1);
          } else if (!inner && b - a > 3) {
            // Two passes side by side are two.
            g.fillStyle = tint('--mud-palette-surface');
            g.fillRect(b - 1, y, 1, tall);
          }
        }
      }
      g.restore();
    });
    const at = this.pointed;
    if (at) {
      const s = this.ranks[at.rank].spans[at.span], inner = calls.has(s.kind) && s.kind !== 'receive', top = head + at.rank * row;
      const a = Math.max(left, x(s.from)), b = Math.min(width, Math.max(a + 2, x(s.from + s.took)));
      g.strokeStyle = tint('--ds-ink');
      g.lineWidth = 2;
      g.strokeRect(a, inner ? top + row / 2 : top + pad, b - a, inner ? row / 2 - pad : row - 2 * pad);
    }
    if (this.drag !== undefined && this.dragTo !== undefined) {
      g.fillStyle = tint('--ds-cursor');
      g.globalAlpha = .25;
      g.fillRect(Math.min(this.drag, this.dragTo), head, Math.abs(this.drag - this.dragTo), height - head);
      g.globalAlpha = 1;
    }
    this.tell();
  }
  axis(g, tint, height) {
    const { left, width, x } = this.plan, [from, to] = this.view, rough = (to - from) / Math.max(2, (width - left) / 110);
    const unit = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].map(n => n * unit).find(n => n >= rough);
    g.textBaseline = 'top';
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      g.fillStyle = tint('--ds-grid');
      g.fillRect(Math.round(x(at)), head - 4, 1, height - head + 4);
      g.fillStyle = tint('--ds-axis');
      const words = time(at);
      g.textAlign = x(at) + g.measureText(words).width > width ? 'right' : 'left';
      g.fillText(at === 0 ? '0' : words, Math.round(x(at)), 2);
    }
    // Where a step begins and ends, by the first rank.
    g.fillStyle = tint('--ds-axis');
    for (const s of this.ranks[0].spans.filter(s => s.kind === 'step')) for (const at of [s.from, s.from + s.took]) if (at >= from && at <= to) g.fillRect(Math.round(x(at)), head - 4, 1, height - head + 4);
  }
  at(event) {
    const { left, width, x } = this.plan ?? {}, r = Math.floor((event.offsetY - head) / row);
    if (!(event.offsetX >= left && event.offsetX <= width && r >= 0 && r < this.ranks.length)) return null;
    const low = event.offsetY - head - r * row > row / 2;
    let best = -1, far = 4;
    this.ranks[r].spans.forEach((s, i) => {
      if (!colour[s.kind] || (calls.has(s.kind) && s.kind !== 'receive' && !low)) return;
      const a = x(s.from), b = x(s.from + s.took), apart = event.offsetX < a ? a - event.offsetX : Math.max(0, event.offsetX - b);
      // The innermost of those that are there comes last.
      if (apart < far || (apart === 0 && far === 0)) [best, far] = [i, apart];
    });
    return best < 0 ? null : { rank: r, span: best };
  }
  move(event) {
    if (this.drag !== undefined && event.buttons) { this.dragTo = event.offsetX; this.soon(); }
    this.point(this.plan ? this.at(event) : null);
  }
  drop() {
    const [a, b] = [this.drag, this.dragTo].sort((p, q) => p - q);
    this.drag = this.dragTo = undefined;
    if (this.plan && b - a > 8) {
      const { left, scale } = this.plan, from = this.view[0];
      this.view = [Math.max(0, from + (a - left) / scale), Math.min(this.whole[1], from + (b - left) / scale)];
    }
    this.soon();
  }
  zoom(by) {
    if (!this.ranks?.length) return;
    const [from, to] = this.view, at = this.pointed && this.ranks[this.pointed.rank].spans[this.pointed.span];
    const middle = at ? at.from + at.took / 2 : (from + to) / 2, length = Math.min(this.whole[1], Math.max(20, (to - from) * by));
    const begin = Math.max(0, Math.min(this.whole[1] - length, middle - length / 2));
    this.view = Number.isFinite(length) ? [begin, begin + length] : this.whole;
    this.soon();
  }
  point(at) {
    if (JSON.stringify(at) === JSON.stringify(this.pointed ?? null)) return;
    this.pointed = at;
    this.soon();
  }
  key(event) {
    if (!this.ranks?.length) return;
    const [down, across] = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key] ?? [];
    if (down === undefined) {
      const by = { '+': .5, '=': .5, '-': 2, Home: Infinity }[event.key];
      if (by) { event.preventDefault(); event.stopPropagation(); this.zoom(by); }
      return;
    }
    event.preventDefault();
    const was = this.pointed, rank = Math.min(this.ranks.length - 1, Math.max(0, (was?.rank ?? 0) + (was ? down : 0)));
    const spans = this.ranks[rank].spans, seen = s => colour[s.kind];
    let span = was?.span ?? -1;
    if (was && down) {
      const middle = this.ranks[was.rank].spans[was.span].from;
      span = spans.findIndex(s => seen(s) && s.from + s.took >= middle);
    } else {
      const step = across || 1;
      do span += step; while (spans[span] && !seen(spans[span]));
    }
    if (!spans[span]) return;
    const s = spans[span], [from, to] = this.view;
    if (s.from < from || s.from > to) this.view = [Math.max(0, s.from - (to - from) / 2), Math.max(0, s.from - (to - from) / 2) + to - from];
    this.point({ rank, span });
    this.soon();
  }
  tell() {
    const at = this.pointed, s = at && this.ranks[at.rank].spans[at.span];
    if (!s) { this.tip.textContent = ''; return; }
    const kind = { receive: 'wait', backward_inputs: 'backward for inputs', backward_weights: 'backward for weights' }[s.kind] ?? s.kind;
    this.tip.textContent = `rank ${this.ranks[at.rank].rank} · ${kind}${s.words ? `: ${s.words}` : ''} · ${time(s.took)} at ${time(s.from)}`;
    this.tip.style.left = `${Math.max(0, Math.min(this.plan.x(s.from), this.plan.width - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${this.canvas.offsetTop + head + (at.rank + 1) * row + 4}px`;
  }
});
