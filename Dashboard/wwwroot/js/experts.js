// <ds-experts cells names experts steps busiest>: the load of every expert as a heat map of layers and experts, and the busiest expert
// of each layer over the steps as lines, each on one canvas. Ratios come as 256ths in base64. Point at a cell, or walk by arrow keys.
const gutter = 46, head = 5, foot = 16, perUnit = 256, shades = 64, linesHeight = 150;

function colours(element) {
  const style = getComputedStyle(element), dot = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  return name => {
    dot.clearRect(0, 0, 1, 1);
    dot.fillStyle = style.getPropertyValue(name).trim();
    dot.fillRect(0, 0, 1, 1);
    return [...dot.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
}
const called = name => /^\d/.test(name) ? `layer ${name}` : name;
const mix = (a, b, share) => a.map((v, i) => Math.round(v + (b[i] - v) * share));
const css = rgb => `rgb(${rgb.join(' ')})`;

// A quarter or less to four times or more, even in the logarithm: the mean is the ground, double and half have the full colour.
function scale(color) {
  const ground = color('--ds-sunken'), ink = color('--ds-ink');
  return Array.from({ length: shades + 1 }, (_, i) => {
    const octaves = (i / shades - .5) * 4, side = color(octaves < 0 ? '--ds-series-1' : '--ds-series-2'), far = Math.abs(octaves);
    return css(far <= 1 ? mix(ground, side, far) : mix(side, ink, (far - 1) / 2));
  });
}
const shade = ratio => ratio <= 0 ? 0 : Math.round(Math.min(1, Math.max(0, Math.log2(ratio) / 4 + .5)) * shades);

function decode(text) {
  const bytes = Uint8Array.from(atob(text || ''), c => c.charCodeAt(0)), view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true) / perUnit);
}

function fit(canvas, width, height) {
  const dots = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(height * dots);
    canvas.style.height = `${height}px`;
  }
  const g = canvas.getContext('2d');
  g.setTransform(dots, 0, 0, dots, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = '11px system-ui, sans-serif';
  return g;
}

customElements.define('ds-experts', class extends HTMLElement {
  static observedAttributes = ['cells', 'names', 'experts', 'steps', 'busiest'];
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.sizes = new ResizeObserver(() => this.soon());
    this.sizes.observe(this);
    this.theme = new MutationObserver(() => this.soon());
    this.theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    this.soon();
  }
  disconnectedCallback() { this.sizes.disconnect(); this.theme.disconnect(); }
  attributeChangedCallback(name, before, now) {
    if (name === 'cells') this.ratios = decode(now);
    if (name === 'busiest') this.peaks = decode(now);
    if (name === 'names') this.names = JSON.parse(now || '[]');
    if (name === 'steps') this.steps = JSON.parse(now || '[]');
    if (name === 'experts') this.experts = Number(now);
    this.soon();
  }
  build() {
    this.style.cssText = 'display:block;position:relative;min-width:0';
    this.attachShadow({ mode: 'open' }).innerHTML = `<style>
      canvas { display: block; width: 100%; touch-action: pan-y; }
      canvas:focus-visible { outline: 2px solid var(--mud-palette-primary); outline-offset: 3px; border-radius: 4px; }
      p { margin: .7rem 0 .2rem; font-size: .8rem; color: var(--mud-palette-text-secondary); }
      b { font-weight: 400; white-space: nowrap; margin-right: .6em; }
      i { display: inline-block; width: 1.1em; height: 0; margin: 0 .35em .25em 0; border-top: 3px solid; vertical-align: middle; }
      output { position: absolute; z-index: 5; padding: .25rem .5rem; font-size: .8rem; white-space: nowrap; pointer-events: none; border-radius: 6px;
        color: var(--mud-palette-text-primary); background: var(--ds-tooltip); border: 1px solid var(--mud-palette-divider); box-shadow: var(--mud-elevation-4); }
      output:empty { display: none; }
    </style><canvas id="map" tabindex="0" role="application"></canvas>
    <p>The busiest expert of each layer by step. <b><i style="border-color: var(--ds-series-1)"></i><span></span></b>
      <b><i style="border-color: var(--ds-series-2)"></i>pointed at</b></p>
    <canvas id="lines" role="img" aria-label="The busiest expert of each layer by step"></canvas><output aria-live="polite"></output>`;
    const find = what => this.shadowRoot.querySelector(what);
    [this.map, this.lines, this.tip, this.worstWord] = ['#map', '#lines', 'output', 'span'].map(find);
    this.map.setAttribute('aria-label', `Heat map of ${this.getAttribute('aria-label')}. Arrow keys move over the cells.`);
    this.map.addEventListener('pointermove', e => this.point(this.at(e)));
    this.map.addEventListener('pointerdown', e => this.point(this.at(e)));
    this.map.addEventListener('pointerleave', () => this.point(null));
    this.map.addEventListener('blur', () => this.point(null));
    this.map.addEventListener('keydown', e => this.key(e));
    this.lines.addEventListener('pointermove', e => this.pointLine(e));
    this.lines.addEventListener('pointerdown', e => this.pointLine(e));
    this.lines.addEventListener('pointerleave', () => this.point(null));
  }
  soon() {
    if (this.shadowRoot && !this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }
  draw() {
    const width = Math.floor(this.clientWidth), rows = this.names?.length ?? 0;
    if (!width || !rows || !this.experts || this.ratios?.length !== rows * this.experts) return;
    const color = colours(this), row = Math.min(22, Math.max(5, Math.floor(360 / rows))), column = (width - gutter - 2) / this.experts;
    this.plan = { row, column, rows, width };
    this.drawMap(color, this.plan);
    const newest = this.peaks.subarray(this.peaks.length - rows);
    this.worst = newest.reduce((worst, ratio, i) => ratio > newest[worst] ? i : worst, 0);
    this.worstWord.textContent = `${called(this.names[this.worst])}, the worst now`;
    this.drawLines(color, this.plan);
    this.tell();
  }
  drawMap(color, { row, column, rows, width }) {
    const g = fit(this.map, width, head + rows * row + foot), tints = scale(color), dots = devicePixelRatio || 1;
    const gapX = column >= 6 ? 1 : 0, gapY = row >= 8 ? 1 : 0, snap = x => Math.round(x * dots) / dots;
    for (let r = 0; r < rows; r++) {
      for (let e = 0; e < this.experts; e++) {
        const left = snap(gutter + e * column);
        g.fillStyle = tints[shade(this.ratios[r * this.experts + e])];
        g.fillRect(left, head + r * row, snap(gutter + (e + 1) * column) - left - gapX, row - gapY);
      }
    }
    g.fillStyle = css(color('--ds-axis'));
    g.textBaseline = 'middle';
    g.textAlign = 'right';
    const every = Math.ceil(12 / row);
    // The last row is an MTP block mostly: its name goes before that of a neighbour.
    for (let r = 0; r < rows; r++) if (r === rows - 1 || (r % every === 0 && rows - 1 - r >= every)) g.fillText(this.names[r], gutter - 6, head + (r + .5) * row);
    g.textAlign = 'center';
    const stride = 2 ** Math.max(0, Math.ceil(Math.log2(32 / column)));
    for (let e = 0; e < this.experts; e += stride) g.fillText(e, gutter + (e + .5) * column, head + rows * row + foot / 2 + 1);
    const at = this.pointed;
    if (at?.expert !== undefined) {
      g.strokeStyle = css(color('--ds-ink'));
      g.lineWidth = 2;
      g.strokeRect(gutter + at.expert * column - 1, head + at.row * row - 1, Math.max(column, 3) + 2 - gapX, row + 2 - gapY);
    }
  }
  drawLines(color, { rows, width }) {
    const g = fit(this.lines, width, linesHeight), top = 6, bottom = linesHeight - foot - 4, right = width - 4;
    const high = Math.max(1.1, ...this.peaks), first = this.steps[0], last = this.steps[this.steps.length - 1];
    const x = i => first === last ? gutter : gutter + (this.steps[i] - first) / (last - first) * (right - gutter);
    const y = ratio => bottom - Math.log2(Math.max(1, ratio)) / Math.log2(high) * (bottom - top);
    Object.assign(this.plan, { x, y });
    g.fillStyle = css(color('--ds-axis'));
    g.textBaseline = 'middle';
    for (const ratio of [1, Math.sqrt(high), high]) {
      g.strokeStyle = css(color('--ds-grid'));
      g.lineWidth = 1;
      g.beginPath();
      g.moveTo(gutter, Math.round(y(ratio)) + .5);
      g.lineTo(right, Math.round(y(ratio)) + .5);
      g.stroke();
      g.textAlign = 'right';
      g.fillText(ratio === 1 ? '1' : ratio.toFixed(2), gutter - 6, y(ratio));
    }
    g.textAlign = 'left';
    g.fillText(`step ${first}`, gutter, linesHeight - foot / 2);
    g.textAlign = 'right';
    if (last !== first) g.fillText(`step ${last}`, right, linesHeight - foot / 2);
    const line = (r, name, thick, alpha) => {
      g.globalAlpha = alpha;
      g.lineWidth = thick;
      g.strokeStyle = g.fillStyle = css(color(name));
      g.beginPath();
      this.steps.forEach((_, i) => g.lineTo(x(i), y(this.peaks[i * rows + r])));
      g.stroke();
      if (this.steps.length === 1) g.fillRect(x(0), y(this.peaks[r]) - thick, 2 * thick, 2 * thick);
      g.globalAlpha = 1;
    };
    for (let r = 0; r < rows; r++) line(r, '--ds-axis', 1, rows > 12 ? .3 : .5);
    line(this.worst, '--ds-series-1', 2, 1);
    if (this.pointed) line(this.pointed.row, '--ds-series-2', 2, 1);
  }
  at(event) {
    const box = this.map.getBoundingClientRect(), { row, column, rows } = this.plan ?? {};
    const r = Math.floor((event.clientY - box.top - head) / row), e = Math.floor((event.clientX - box.left - gutter) / column);
    return r >= 0 && r < rows && e >= 0 && e < this.experts ? { row: r, expert: e } : null;
  }
  // The nearest step, and the line that is nearest there.
  pointLine(event) {
    if (!this.plan?.x) return;
    const box = this.lines.getBoundingClientRect(), { rows, x, y } = this.plan, near = (count, far) => {
      let best = 0;
      for (let i = 1; i < count; i++) if (far(i) < far(best)) best = i;
      return best;
    };
    const step = near(this.steps.length, i => Math.abs(x(i) - (event.clientX - box.left)));
    this.point({ row: near(rows, r => Math.abs(y(this.peaks[step * rows + r]) - (event.clientY - box.top))), step });
  }
  point(at) {
    if (JSON.stringify(at) === JSON.stringify(this.pointed ?? null)) return;
    this.pointed = at;
    this.soon();
  }
  key(event) {
    const [down, across] = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key] ?? [];
    if (down === undefined || !this.plan) return;
    event.preventDefault();
    const from = this.pointed ?? { row: 0, expert: -across };
    const within = (value, count) => Math.min(count - 1, Math.max(0, value));
    this.point({ row: within(from.row + (this.pointed ? down : 0), this.plan.rows), expert: within((from.expert ?? 0) + across, this.experts) });
  }
  tell() {
    const at = this.pointed, rows = this.plan.rows;
    if (!at || at.row >= rows) { this.tip.textContent = ''; return; }
    const onMap = at.expert !== undefined, ratio = onMap ? this.ratios[at.row * this.experts + at.expert] : this.peaks[at.step * rows + at.row];
    const words = ratio === 0 ? 'no token' : `${ratio.toFixed(2)} × the mean`;
    this.tip.textContent = `${called(this.names[at.row])} · ${onMap ? `expert ${at.expert}` : `busiest at step ${this.steps[at.step]}`} · ${words}`;
    const canvas = onMap ? this.map : this.lines;
    const x = onMap ? gutter + at.expert * this.plan.column : this.plan.x(at.step);
    const y = onMap ? head + (at.row + 1) * this.plan.row : this.plan.y(this.peaks[at.step * rows + at.row]);
    this.tip.style.left = `${Math.max(0, Math.min(x, this.plan.width - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${canvas.offsetTop + y + 8}px`;
  }
});
