// <ds-charts run stage series x smooth log from to marks>: all charts of one stage, with one cursor and one zoom.
// Its attributes come from the URL; a zoom goes back into the URL, so the browser's back key undoes it.
import { fetchBuckets } from './buckets.js';
import { listen } from './live.js';
import { Marks } from './marks.js';
import { Panel } from './panel.js';

const refetchAfter = 120; // ms: while a zoom is still moving, the old buckets are drawn stretched
const fullEvery = 15000;  // ms: live points are exact but raw; now and then the server buckets them anew
let boards = 0;

customElements.define('ds-charts', class extends HTMLElement {
  static observedAttributes = ['run', 'stage', 'series', 'x', 'smooth', 'log', 'from', 'to', 'marks', 'over'];

  connectedCallback() {
    this.syncKey = `ds-board-${++boards}`;
    this.marks = new Marks();
    this.panels = new Map();
    this.grid = document.createElement('div');
    this.grid.className = 'ds-chart-grid';
    this.append(this.grid);
    this.sizes = new ResizeObserver(() => this.fitSoon());
    this.sizes.observe(this);
    this.onTheme = () => this.redraw();
    addEventListener('ds-theme', this.onTheme);
    this.read();
    this.reload(0);
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    this.asking?.abort();
    this.stopListening?.();
    this.sizes.disconnect();
    removeEventListener('ds-theme', this.onTheme);
    for (const p of this.panels.values()) p.remove();
    this.replaceChildren();
  }

  attributeChangedCallback(name, old, now) {
    if (!this.panels || old === now) return;
    if (name === 'marks') { this.marks.take(now); this.redraw(); return; }
    if (name === 'over') { this.reload(0); return; }
    this.read();
    if (name === 'log') this.redraw(); else this.reload(name === 'from' || name === 'to' ? refetchAfter : 0);
  }

  read() {
    const number = name => { const v = parseFloat(this.getAttribute(name)); return Number.isFinite(v) ? v : null; };
    this.run = this.getAttribute('run');
    this.stage = this.getAttribute('stage');
    this.names = (this.getAttribute('series') ?? '').split(',').filter(Boolean);
    this.axis = this.getAttribute('x') ?? 'step';
    this.smooth = number('smooth') ?? 0;
    this.log = this.getAttribute('log') === 'true';
    [this.from, this.to] = [number('from'), number('to')];
    this.marks.take(this.getAttribute('marks'));
    if (this.listeningTo !== this.run) {
      this.stopListening?.();
      this.listeningTo = this.run;
      this.stopListening = listen(this.run, frame => this.onFrame(frame));
    }
    for (const [name, panel] of this.panels) if (!this.names.includes(name)) { panel.remove(); this.panels.delete(name); }
    this.names.forEach((name, order) => {
      if (!this.panels.has(name)) this.panels.set(name, new Panel(this, name, order));
      this.grid.append(this.panels.get(name).figure);
    });
  }

  get emptyText() {
    return this.problem ?? (this.hasAttribute('over') ? 'No points: this stage has ended without any.' : 'No points yet. The first step is drawn here as it happens.');
  }

  reload(after) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), after);
  }

  async load() {
    if (!this.names.length || !this.stage) return;
    this.asking?.abort();
    this.asking = new AbortController();
    // Charts of one width are one question; a chart of its own width has its own buckets, or its spikes would be thinned with the others'.
    const widths = new Map();
    for (const name of this.names) { const px = this.panels.get(name).px; widths.set(px, [...(widths.get(px) ?? []), name]); }
    const empty = { x: [], min: [], max: [], mean: [], last: [], bad: [], smoothed: null };
    try {
      const answers = await Promise.all([...widths].map(([px, names]) => fetchBuckets(
        { run: this.run, stage: this.stage, names: names.join(','), from: this.from, to: this.to, px, x: this.axis, smooth: this.smooth || null },
        { fresh: this.to === null, signal: this.asking.signal })));
      this.problem = null;
      [...widths.values()].forEach((names, i) => this.take(names, answers[i]));
    } catch (fault) {
      if (fault.name === 'AbortError') return;
      this.problem = fault.message;
      for (const p of this.panels.values()) if (!p.data?.x.length) p.show(empty, []);
    }
    this.reload(this.problem ? 3000 : fullEvery);
  }

  take(names, { x, series }) {
    names.forEach((name, index) => {
      const own = series.filter(s => s.name === index), line = own.find(s => s.attempt === 0);
      const copy = column => (column ? Array.from(column) : null);
      const empty = () => Array(x.length).fill(NaN), panel = this.panels.get(name);
      if (panel) panel.bucketed = x.length;
      panel?.show({
        x: Array.from(x), min: copy(line?.min) ?? empty(), max: copy(line?.max) ?? empty(), mean: copy(line?.mean) ?? empty(),
        last: copy(line?.last) ?? empty(), bad: copy(line?.bad) ?? Array(x.length).fill(0), smoothed: line ? copy(line.smoothed) : null,
      }, own.filter(s => s.attempt > 0).map(s => ({ mean: Array.from(s.mean) })));
    });
  }

  onFrame({ missed, samples }) {
    if (missed) { this.reload(0); return; }
    const own = samples.filter(s => s.stage === this.stage);
    if (!own.length || this.to !== null) return;
    let again = false;
    for (const panel of this.panels.values()) {
      const d = panel.data;
      if (!d || (!d.x.length && this.smooth)) { again = true; continue; }
      for (const s of own) {
        const x = s[this.axis], told = s.values.has(panel.name), v = told ? s.values.get(panel.name) : NaN;
        if (!told) continue;
        if (d.x.length && x <= d.x[d.x.length - 1]) { again ||= x < d.x[d.x.length - 1]; continue; }
        d.x.push(x);
        // Infinity is as little to be drawn as NaN, and both are told.
        const number = Number.isFinite(v);
        for (const column of [d.min, d.max, d.mean]) column.push(number ? v : NaN);
        d.last.push(v);
        d.bad.push(number ? 0 : 1);
        if (d.smoothed) {
          const before = d.smoothed.findLast(Number.isFinite);
          d.smoothed.push(!number ? NaN : Number.isFinite(before) ? this.smooth * before + (1 - this.smooth) * v : v);
        }
        for (const g of panel.ghosts) g.mean.push(NaN);
      }
      again ||= d.x.length > panel.bucketed + 400;
    }
    // A step that was drawn before means a new attempt went back: the server knows which part is abandoned.
    if (again) this.reload(refetchAfter);
    this.paint(panel => panel.data && panel.show(panel.data, panel.ghosts));
  }

  paint(each) {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => { for (const p of this.panels.values()) each(p); });
  }

  redraw() { this.paint(p => { if (p.plot) { p.shape = null; p.draw(); } }); }
  fitSoon() { this.paint(p => { if (p.fit()) this.reload(refetchAfter); }); }

  zoom(from, to) {
    [this.from, this.to] = [from, to];
    this.paint(p => p.plot?.setScale('x', p.range()));
    const url = new URL(location.href);
    for (const [name, value] of [['from', from], ['to', to]]) {
      if (value === null) url.searchParams.delete(name); else url.searchParams.set(name, String(+value.toPrecision(12)));
    }
    window.Blazor?.navigateTo(url.pathname + url.search);
    this.reload(refetchAfter);
  }
});
