// <ds-heat names cells runs by chosen>: every GPU of the cluster on one canvas. Each state has a shape of its own beside its colour.
// Arrow keys walk over nodes, Enter or a click opens one: it is put into the address, where the page reads it.
const gpuColumns = 4;
const words = { '.': 'free', o: 'unused', s: 'starting', t: 'training', w: 'saving', d: 'done', x: 'exited', u: 'unknown' };
const nodeWords = { r: 'ready', n: 'not ready', c: 'cordoned', m: 'out for maintenance', u: 'of unknown health' };
const tones = { s: '--ds-status-care', t: '--ds-status-moving', w: '--ds-status-good', d: '--ds-status-good', x: '--ds-status-bad', u: '--ds-status-idle' };
const codes = { free: '.', unused: 'o', starting: 's', training: 't', saving: 'w', done: 'd', exited: 'x', unknown: 'u' };
const nodeCodes = { 'not-ready': 'n', cordoned: 'c', maintenance: 'm' };

const idle = code => code === '.' || code === 'o';

function palette(element) {
  const style = getComputedStyle(element), found = new Map();
  return name => found.get(name) ?? found.set(name, style.getPropertyValue(name).trim()).get(name);
}

// One GPU. Full square: training; lower half: starting; square with a hole: saving; tick-less small square: done; cross: exited.
function cell(g, color, code, x, y, s, tint, alpha = 1) {
  g.globalAlpha = 1;
  g.strokeStyle = color('--mud-palette-lines-inputs');
  g.lineWidth = 1;
  g.strokeRect(x + .5, y + .5, s - 1, s - 1);
  if (idle(code)) return;
  g.fillStyle = tint ?? color(tones[code]);
  g.globalAlpha = alpha;
  if (code === 't') g.fillRect(x, y, s, s);
  else if (code === 's') g.fillRect(x, y + s / 2, s, s / 2);
  else if (code === 'd') g.fillRect(x + s / 4, y + s / 4, s / 2, s / 2);
  else if (code === 'w') { g.fillRect(x, y, s, s); g.globalAlpha = 1; g.fillStyle = color('--mud-palette-surface'); g.fillRect(x + s / 3, y + s / 3, s / 3, s / 3); }
  else if (code === 'x') { g.globalAlpha = 1; cross(g, color(tones.x), x + 1, y + 1, s - 2, s - 2); }
  else g.fillRect(x + s * .4, y + s * .4, s * .2, s * .2);
  g.globalAlpha = 1;
}

function cross(g, colour, x, y, w, h) {
  g.strokeStyle = colour;
  g.lineWidth = 2;
  g.beginPath();
  g.moveTo(x, y); g.lineTo(x + w, y + h); g.moveTo(x + w, y); g.lineTo(x, y + h);
  g.stroke();
}

// Not ready: crossed out. Cordoned: a bar across, as on a closed road. Maintenance: an upright bar.
function overNode(g, color, state, x, y, w, h) {
  if (state === 'r') return;
  const colour = color(state === 'n' ? '--ds-status-bad' : state === 'c' || state === 'm' ? '--ds-status-held' : '--ds-status-idle');
  g.strokeStyle = colour;
  g.lineWidth = 2;
  if (state === 'u') g.setLineDash([3, 2]);
  g.strokeRect(x - 1, y - 1, w + 2, h + 2);
  g.setLineDash([]);
  if (state === 'n') cross(g, colour, x, y, w, h);
  if (state === 'm') { g.fillStyle = colour; g.fillRect(x + w / 2 - 1.5, y - 1, 3, h + 2); }
  if (state === 'c') { g.fillStyle = colour; g.fillRect(x - 1, y + h / 2 - 1.5, w + 2, 3); }
}

customElements.define('ds-heat-key', class extends HTMLElement {
  static observedAttributes = ['state'];
  connectedCallback() { this.draw(); }
  attributeChangedCallback() { if (this.isConnected) this.draw(); }
  draw() {
    const size = 12, state = this.getAttribute('state'), canvas = document.createElement('canvas'), scale = devicePixelRatio || 1;
    if (!this.shadowRoot) this.attachShadow({ mode: 'open' });
    canvas.width = canvas.height = size * scale;
    canvas.style.cssText = `width:${size}px;height:${size}px;display:block`;
    this.shadowRoot.replaceChildren(canvas);
    const g = canvas.getContext('2d'), color = palette(this);
    g.scale(scale, scale);
    if (nodeCodes[state]) overNode(g, color, nodeCodes[state], 2, 2, size - 4, size - 4);
    else cell(g, color, codes[state] ?? 'u', 1, 1, size - 2);
  }
});

customElements.define('ds-heat', class extends HTMLElement {
  static observedAttributes = ['names', 'cells', 'runs', 'by', 'chosen'];
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.sizes = new ResizeObserver(() => this.soon());
    this.sizes.observe(this);
    this.theme = new MutationObserver(() => { this.soon(); document.querySelectorAll('ds-heat-key').forEach(k => k.draw()); });
    this.theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    this.soon();
  }
  disconnectedCallback() { this.sizes.disconnect(); this.theme.disconnect(); }
  attributeChangedCallback(name, before, now) {
    if (name === 'names') this.nodes = JSON.parse(now || '[]');
    if (name === 'runs') this.legend = new Map(JSON.parse(now || '[]').map((r, i) => [r.letter, { ...r, colour: `--ds-series-${i % 6 + 1}` }]));
    if (name === 'cells') this.rows = (now || '').split(' ');
    this.soon();
  }
  build() {
    this.style.display = 'block';
    this.attachShadow({ mode: 'open' }).innerHTML = `<style>
      canvas { display: block; width: 100%; border-radius: 4px; cursor: pointer; }
      canvas:focus-visible { outline: 2px solid var(--mud-palette-primary); outline-offset: 4px; }
      output { display: block; min-height: 1.5em; margin-top: .45rem; font-size: .82rem; color: var(--mud-palette-text-secondary); overflow-wrap: anywhere; }
    </style><canvas tabindex="0" role="application"></canvas><output aria-live="polite"></output>`;
    this.canvas = this.shadowRoot.querySelector('canvas');
    this.output = this.shadowRoot.querySelector('output');
    this.canvas.setAttribute('aria-label', `Map of ${this.getAttribute('aria-label')}. Arrow keys move over the nodes, Enter opens one.`);
    this.canvas.addEventListener('pointermove', e => this.point(this.at(e)));
    this.canvas.addEventListener('pointerleave', () => this.point(null));
    this.canvas.addEventListener('click', e => { const i = this.at(e); if (i !== null) this.open(i); });
    this.canvas.addEventListener('keydown', e => this.key(e));
    this.canvas.addEventListener('focus', () => this.point(this.pointed ?? Math.max(0, this.chosenIndex())));
    this.tell(null);
  }
  soon() {
    if (this.shadowRoot && !this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }
  chosenIndex() { return (this.nodes ?? []).findIndex(n => n[0] === this.getAttribute('chosen')); }
  // Rows of nodes; each leaf of the fabric begins a new row, so that its nodes stand together.
  layout(width) {
    const gapX = 3, gapY = 5, leafGap = 6, smallestCell = 6, largestCell = 14;
    const gpus = Math.max(1, ...this.rows.map(r => (r.length - 1) / 2)), across = Math.min(gpus, gpuColumns);
    const sizeOf = columns => Math.min(largestCell, Math.floor(((width - 4) / columns - gapX) / across * 2) / 2);
    const columns = [32, 16, 8, 4].find(c => sizeOf(c) >= smallestCell) ?? 2; // each divides a leaf of 32 nodes
    const cellSize = sizeOf(columns), w = across * cellSize, h = Math.ceil(gpus / gpuColumns) * cellSize;
    const places = [];
    let x = 0, y = 2, leaf = this.nodes[0]?.[1];
    this.nodes.forEach(n => {
      if (x === columns || n[1] !== leaf) { y += h + gapY + (n[1] !== leaf ? leafGap : 0); x = 0; leaf = n[1]; }
      places.push([2 + x++ * (w + gapX), y]);
    });
    return { places, w, h, cellSize, columns, height: y + h + 3 };
  }
  draw() {
    const width = Math.floor(this.clientWidth);
    if (!width || !this.nodes || !this.rows) return;
    const plan = this.plan = this.layout(width), scale = devicePixelRatio || 1, color = palette(this), by = this.getAttribute('by');
    if (this.canvas.width !== width * scale || this.canvas.height !== plan.height * scale) {
      this.canvas.width = width * scale;
      this.canvas.height = plan.height * scale;
      this.canvas.style.height = `${plan.height}px`;
    }
    const g = this.canvas.getContext('2d');
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, width, plan.height);
    const chosen = this.chosenIndex();
    plan.places.forEach(([x, y], i) => {
      const row = this.rows[i] ?? 'u';
      for (let k = 0; 2 * k + 1 < row.length; k++) {
        const code = row[2 * k + 1], run = this.legend?.get(row[2 * k + 2]);
        const tint = by === 'run' && run ? color(run.colour) : by === 'use' && !idle(code) ? color('--ds-status-moving') : undefined;
        // Half of the card's peak is the top of the scale: no published run of this kind went beyond.
        const alpha = by === 'use' && !idle(code) ? (code === 't' ? .12 + .88 * Math.min(1, (run?.mfu ?? 0) / .5) : .12) : 1;
        cell(g, color, code, x + (k % gpuColumns) * plan.cellSize, y + Math.floor(k / gpuColumns) * plan.cellSize, plan.cellSize - 1, tint, alpha);
      }
      if (by === 'run' && row[2] && row[2] !== '-') this.letter(g, color, row[2], x + plan.w / 2, y + plan.h / 2);
      overNode(g, color, row[0], x, y, plan.w - 1, plan.h - 1);
      if (i === chosen || i === this.pointed) {
        g.strokeStyle = color(i === chosen ? '--mud-palette-primary' : '--mud-palette-text-primary');
        g.lineWidth = 2;
        g.strokeRect(x - 2, y - 2, plan.w + 3, plan.h + 3);
      }
    });
    this.tell(this.pointed ?? null);
  }
  letter(g, color, letter, x, y) {
    g.font = '700 11px ui-monospace, monospace';
    g.textAlign = 'center';
    g.textBaseline = 'middle';
    g.lineWidth = 3;
    g.strokeStyle = color('--mud-palette-surface');
    g.strokeText(letter, x, y);
    g.fillStyle = color('--mud-palette-text-primary');
    g.fillText(letter, x, y);
  }
  at(event) {
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const i = (this.plan?.places ?? []).findIndex(([left, top]) => x >= left - 1 && x < left + this.plan.w + 2 && y >= top - 2 && y < top + this.plan.h + 3);
    return i < 0 ? null : i;
  }
  point(i) {
    if (this.pointed === i) return;
    this.pointed = i;
    this.soon();
  }
  key(event) {
    const last = this.nodes.length - 1, from = this.pointed ?? 0;
    const to = { ArrowRight: from + 1, ArrowLeft: from - 1, ArrowDown: from + this.plan.columns, ArrowUp: from - this.plan.columns, Home: 0, End: last }[event.key];
    if (to !== undefined) { event.preventDefault(); this.point(Math.min(last, Math.max(0, to))); }
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); this.open(from); }
  }
  open(i) {
    const url = new URL(location.href);
    url.searchParams.set('node', this.nodes[i][0]);
    window.Blazor.navigateTo(url.href, { replaceHistoryEntry: true });
  }
  tell(i) {
    const text = i === null || !this.nodes?.[i] ? 'Point at a node, or move with the arrow keys; Enter opens it.' : this.sentence(i);
    if (this.output.textContent !== text) this.output.textContent = text;
  }
  sentence(i) {
    const row = this.rows[i] ?? 'u', counts = new Map(), runs = new Set();
    for (let k = 1; k < row.length; k += 2) {
      counts.set(row[k], (counts.get(row[k]) ?? 0) + 1);
      if (row[k + 1] !== '-') runs.add(row[k + 1]);
    }
    const gpus = [...counts].map(([code, n]) => `${n} ${words[code]}`).join(', ');
    const names = [...runs].map(l => `${l} ${this.legend?.get(l)?.name ?? ''}`).join(', ');
    const leaf = this.nodes[i][1];
    return `${this.nodes[i][0]}${leaf ? ` under ${leaf}` : ''} is ${nodeWords[row[0]]}: GPUs ${gpus}${names ? ` · ${names}` : ''}`;
  }
});
