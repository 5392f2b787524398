// One chart: the line, its min/max band, the raw line under a smoothed one, abandoned attempts as ghosts, and marks.
import uPlot from '../../lib/uplot/uPlot.esm.js';
import { figure, place, tick, title } from './words.js';

const token = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faded = (colour, percent) => `color-mix(in srgb, ${colour} ${percent}%, transparent)`;
const height = 190;

export class Panel {
  constructor(board, name, order) {
    Object.assign(this, { board, name, order });
    this.figure = document.createElement('figure');
    this.figure.className = 'ds-chart';
    this.figure.dataset.series = name;
    this.figure.innerHTML = `<figcaption><b></b><output class="ds-num"></output></figcaption><div class="ds-plot" tabindex="0" role="application" aria-roledescription="line chart"></div><p class="ds-chart-note"></p>`;
    [this.caption, this.plotAt, this.note] = this.figure.children;
    this.caption.firstChild.textContent = title(name);
    this.value = this.caption.lastChild;
    this.plotAt.addEventListener('keydown', e => this.key(e));
    this.plotAt.addEventListener('dblclick', () => board.zoom(null, null));
  }

  show(data, ghosts) {
    this.data = data;
    this.ghosts = ghosts;
    const points = data.x.length;
    this.figure.dataset.points = points;
    this.note.textContent = points ? '' : this.board.emptyText;
    this.figure.classList.toggle('ds-chart-empty', !points);
    if (points) this.draw(); else { this.plot?.destroy(); this.plot = null; }
    this.tell(null);
  }

  columns() {
    const { x, min, max, mean, smoothed } = this.data;
    const gap = column => column.map(v => (Number.isFinite(v) && (v > 0 || !this.board.log) ? v : null));
    return [x, gap(max), gap(min), gap(mean), ...(smoothed ? [gap(smoothed)] : []), ...this.ghosts.map(g => gap(g.mean))];
  }

  draw() {
    const shape = [this.board.log, this.board.axis, !!this.data.smoothed, this.ghosts.length, document.documentElement.dataset.theme].join();
    if (this.plot && shape === this.shape) {
      this.plot.setData(this.columns(), false);
      this.plot.setScale('x', this.range());
      return;
    }
    this.plot?.destroy();
    this.shape = shape;
    this.plot = new uPlot(this.options(), this.columns(), this.plotAt);
  }

  range() {
    const x = this.data.x, first = x[0], last = x[x.length - 1];
    const low = this.board.from ?? first, high = this.board.to ?? last;
    return low < high ? { min: low, max: high } : { min: low - 1, max: low + 1 };
  }

  options() {
    const colour = token(`--ds-series-${this.order % 6 + 1}`), smooth = !!this.data.smoothed;
    const axis = { stroke: token('--ds-axis'), grid: { stroke: token('--ds-grid'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    const invisible = { stroke: 'transparent', width: 0, points: { show: false } };
    const line = { stroke: colour, width: 1.75, points: { show: false }, spanGaps: true };
    return {
      width: this.width(), height, legend: { show: false }, padding: [14, 8, 0, 0],
      cursor: { sync: { key: this.board.syncKey, setSeries: false, filters: { pub: type => type === 'mousemove' || type === 'mouseleave' } }, drag: { x: true, y: false, setScale: false }, points: { size: 7, fill: colour }, y: false },
      scales: { x: { time: this.board.axis === 'time', range: () => { const r = this.range(); return [r.min, r.max]; } }, y: { distr: this.board.log ? 3 : 1, range: (u, low, high) => this.spread(low, high) } },
      axes: [
        { ...axis, size: 30, values: this.board.axis === 'time' ? undefined : (u, ticks) => ticks.map(v => (this.board.axis === 'tokens' ? tick('tokens_per_second', v) : String(+v.toFixed(2)))) },
        { ...axis, size: 58, values: (u, ticks) => ticks.map(v => tick(this.name, v)) },
      ],
      series: [{}, invisible, invisible, { ...line, stroke: smooth ? faded(colour, 32) : colour, width: smooth ? 1 : 1.75 },
        ...(smooth ? [line] : []), ...this.ghosts.map(() => ({ ...line, stroke: faded(token('--ds-axis'), 70), width: 1, dash: [3, 3] }))],
      bands: [{ series: [1, 2], fill: faded(colour, 17) }],
      hooks: {
        setSelect: [u => { if (u.select.width > 4) this.board.zoom(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')); u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false); }],
        setCursor: [u => this.tell(u.cursor.idx ?? null)],
        draw: [u => this.board.marks.draw(u, this.board)],
      },
    };
  }

  spread(low, high) {
    if (low === null || high === null) return this.board.log ? [0.1, 1] : [0, 1];
    if (this.board.log) return [low * 0.9, high * 1.1];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
    return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
  }

  // What the caption says: the newest value, or the one under the cursor with its bucket's extremes.
  tell(at) {
    const d = this.data, newest = d.last.length - 1;
    const under = at !== null && at <= newest && Number.isFinite(d.mean[at]);
    const value = under ? d.mean[at] : d.last.findLast(v => Number.isFinite(v));
    this.value.textContent = figure(this.name, value);
    if (under && d.max[at] !== d.min[at]) this.value.textContent += `  (${figure(this.name, d.min[at])} to ${figure(this.name, d.max[at])})`;
    if (!under) this.figure.dataset.last = value ?? '';
    if (at !== null && at <= newest) this.board.over(d.x[at], this.plot);
    else this.board.over(null);
    this.plotAt.setAttribute('aria-label', `${title(this.name)}${under ? ` at ${place(this.board.axis, d.x[at])}` : ', newest'}: ${this.value.textContent}`);
  }

  key(e) {
    const board = this.board;
    if (!this.plot || e.ctrlKey || e.metaKey) return;
    const r = this.range(), mid = this.plot.cursor.idx != null ? this.data.x[this.plot.cursor.idx] : (r.min + r.max) / 2;
    const zoom = by => board.zoom(Math.max(this.data.x[0], mid - (mid - r.min) * by), mid + (r.max - mid) * by);
    if (e.key === 'ArrowLeft' || e.key === 'ArrowRight') {
      const from = this.plot.cursor.idx ?? this.data.x.length;
      const to = Math.max(0, Math.min(this.data.x.length - 1, from + (e.key === 'ArrowRight' ? 1 : -1) * (e.shiftKey ? 10 : 1)));
      this.plot.setCursor({ left: this.plot.valToPos(this.data.x[to], 'x'), top: 10 });
      this.tell(to);
    } else if (e.key === '+' || e.key === '=') zoom(0.5);
    else if (e.key === '-') zoom(2);
    else if (e.key === '0') board.zoom(null, null);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  width() { return Math.max(220, Math.floor(this.plotAt.clientWidth)); }

  fit() {
    if (this.plot && this.plot.width !== this.width()) this.plot.setSize({ width: this.width(), height });
  }

  remove() {
    this.plot?.destroy();
    this.figure.remove();
  }
}
