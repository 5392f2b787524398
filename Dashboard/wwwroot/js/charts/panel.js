// One chart: the line, its min/max band, the raw line under a smoothed one, abandoned attempts as ghosts, marks, and what a line hides.
import uPlot from '../../lib/uplot/uPlot.esm.js';
import { Overlay } from './overlay.js';
import { logTicks, span, timeTicks } from './scale.js';
import { exact, figure, place, tick, title } from './words.js';

const token = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faded = (colour, percent) => `color-mix(in srgb, ${colour} ${percent}%, transparent)`;
const height = 190;
// The axis at the left, and room at the right so that the last label is whole.
const axisWidth = 58, roomRight = 30;

export class Panel {
  constructor(board, name, order) {
    Object.assign(this, { board, name, order });
    this.overlay = new Overlay(this);
    this.figure = document.createElement('figure');
    this.figure.className = 'ds-chart';
    this.figure.dataset.series = name;
    this.figure.innerHTML = `<figcaption><b></b><span class="ds-chart-bad"></span><output class="ds-num"></output></figcaption><div class="ds-plot" tabindex="0" role="application" aria-roledescription="line chart"></div><p class="ds-chart-note"></p><div class="ds-chart-tip" hidden></div>`;
    [this.caption, this.plotAt, this.note, this.tip] = this.figure.children;
    [, this.bad, this.value] = this.caption.children;
    this.caption.firstChild.textContent = title(name);
    this.plotAt.addEventListener('keydown', e => this.key(e));
    this.plotAt.addEventListener('dblclick', () => board.zoom(null, null));
    this.plotAt.addEventListener('pointermove', () => { board.pointed = this; });
    this.plotAt.addEventListener('pointerleave', () => { if (board.pointed === this) board.pointed = null; this.tip.hidden = true; });
  }

  get colour() { return token(`--ds-series-${this.order % 6 + 1}`); }

  // Buckets that the plot has room for: one for each pixel between its axes.
  get px() { return Math.max(100, this.width() - axisWidth - roomRight); }

  show(data, ghosts) {
    this.data = data;
    this.ghosts = ghosts;
    const points = data.x.length;
    this.figure.dataset.points = points;
    this.note.textContent = points ? '' : this.board.emptyText;
    this.figure.classList.toggle('ds-chart-empty', !points);
    if (points) this.draw(); else { this.plot?.destroy(); this.plot = null; }
    this.tellBad();
    this.tell(null);
  }

  drawn(v) { return Number.isFinite(v) && (v > 0 || !this.board.log); }

  // null ends a line, undefined is stepped over: a bucket without a point of this line is no gap in it, one without a number is.
  columns() {
    const { x, min, max, mean, bad, smoothed } = this.data, log = this.board.log;
    const hole = i => (bad[i] > 0 || Number.isFinite(mean[i]) ? null : undefined);
    const line = column => column.map((v, i) => (this.drawn(v) ? v : hole(i)));
    const low = min.map((v, i) => (Number.isFinite(v) ? (log && v <= 0 ? (this.drawn(max[i]) ? max[i] : null) : v) : hole(i)));
    const ghost = g => g.mean.map(v => (this.drawn(v) ? v : undefined));
    return [x, line(max), low, line(mean), ...(smoothed ? [line(smoothed)] : []), ...this.ghosts.map(ghost)];
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
    const colour = this.colour, smooth = !!this.data.smoothed, { axis: x, log } = this.board;
    const axis = { stroke: token('--ds-axis'), grid: { stroke: token('--ds-grid'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    const invisible = { stroke: 'transparent', width: 0, points: { show: false } };
    const line = { stroke: colour, width: 1.75, points: { show: false }, spanGaps: false };
    return {
      width: this.width(), height, legend: { show: false }, padding: [14, roomRight, 0, 0],
      cursor: { sync: { key: this.board.syncKey, setSeries: false, filters: { pub: type => type === 'mousemove' || type === 'mouseleave' } }, drag: { x: true, y: false, setScale: false }, points: { size: 7, fill: colour }, y: false },
      scales: {
        x: { time: x === 'time', range: () => { const r = this.range(); return [r.min, r.max]; } },
        y: { distr: log ? 3 : 1, range: () => { const r = this.range(); return span(this.data, r.min, r.max, log); } },
      },
      axes: [
        { ...axis, size: 30, space: 70, values: (u, ticks) => (x === 'time' ? timeTicks(ticks) : ticks.map(v => tick(x === 'tokens' ? 'tokens_per_second' : 'step', v))) },
        { ...axis, size: axisWidth, ...(log ? { splits: (u, i, low, high) => logTicks(low, high) } : {}), values: (u, ticks) => ticks.map(v => tick(this.name, v)) },
      ],
      series: [{}, invisible, invisible, { ...line, stroke: smooth ? faded(colour, 32) : colour, width: smooth ? 1 : 1.75 },
        ...(smooth ? [line] : []), ...this.ghosts.map(() => ({ ...line, stroke: faded(token('--ds-axis'), 70), width: 1, dash: [3, 3] }))],
      bands: [{ series: [1, 2], fill: faded(colour, 17) }],
      hooks: {
        setSelect: [u => { if (u.select.width > 4) this.board.zoom(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')); u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false); }],
        setCursor: [u => this.tell(u.cursor.idx ?? null)],
        draw: [u => this.overlay.draw(u), u => this.board.marks.draw(u, this.board)],
      },
    };
  }

  exact(value) { return exact(this.name, value); }

  // Points that are no numbers are counted in words beside the title, wherever they lie.
  tellBad() {
    const d = this.data, sum = d.bad.reduce((a, b) => a + b, 0);
    const low = this.board.log ? d.min.reduce((n, v) => n + (v <= 0 ? 1 : 0), 0) : 0;
    this.figure.dataset.bad = sum;
    this.bad.textContent = [sum ? `${sum} not a number` : '', low ? `${low} at or below 0, not on a log scale` : ''].filter(Boolean).join(', ');
  }

  // What the caption says: the newest value, or the one under the cursor with its bucket's extremes.
  tell(at) {
    const d = this.data, newest = d.last.length - 1;
    const has = i => d.bad[i] > 0 || Number.isFinite(d.mean[i]);
    const under = at !== null && at <= newest && has(at);
    let i = under ? at : newest;
    while (!under && i > 0 && !has(i)) i--;
    const value = under ? d.mean[i] : d.last[i];
    this.value.textContent = i >= 0 && has(i) ? figure(this.name, value) : '–';
    if (under && d.max[at] !== d.min[at] && Number.isFinite(d.max[at])) this.value.textContent += `  (${figure(this.name, d.min[at])} to ${figure(this.name, d.max[at])})`;
    if (under && d.bad[at] > 0 && Number.isFinite(d.mean[at])) this.value.textContent += `, ${d.bad[at]} NaN`;
    this.value.classList.toggle('ds-bad', i >= 0 && d.bad[i] > 0 && !Number.isFinite(value));
    if (!under) this.figure.dataset.last = value ?? '';
    const mark = at !== null && at <= newest && this.plot ? this.board.marks.near(this.plot, d.x[at]) : null;
    this.point(under || mark ? at : null, mark);
    const spoken = `${title(this.name)}${under ? ` at ${place(this.board.axis, d.x[at])}` : ', newest'}: ${this.value.textContent}${mark ? `. ${mark.text}` : ''}`;
    this.plotAt.setAttribute('aria-label', [spoken, this.bad.textContent].filter(Boolean).join('. '));
  }

  // The words at the pointer: where, what exactly, and what happened there.
  point(at, mark) {
    const d = this.data;
    if (at === null || this.board.pointed !== this || !this.plot) { this.tip.hidden = true; return; }
    const lines = [place(this.board.axis, d.x[at])];
    if (Number.isFinite(d.mean[at])) lines.push(d.min[at] === d.max[at] ? this.exact(d.mean[at]) : `${this.exact(d.min[at])} to ${this.exact(d.max[at])}, mean ${this.exact(d.mean[at])}`);
    if (d.bad[at] > 0) lines.push(`${d.bad[at] === 1 ? '' : `${d.bad[at]} `}not a number`);
    if (d.smoothed && Number.isFinite(d.smoothed[at])) lines.push(`smoothed ${this.exact(d.smoothed[at])}`);
    this.tip.replaceChildren(...lines.map((text, i) => Object.assign(document.createElement(i ? 'div' : 'b'), { textContent: text })));
    if (mark) this.tip.append(Object.assign(document.createElement('p'), { textContent: mark.text }));
    this.tip.hidden = false;
    const plot = this.plot.over.getBoundingClientRect(), own = this.figure.getBoundingClientRect();
    // Beside the pointer where there is room, else under it: never over what is pointed at.
    const x = plot.left - own.left + this.plot.cursor.left, y = plot.top - own.top + this.plot.cursor.top, wide = this.tip.offsetWidth;
    const right = x + 14 + wide < own.width, left = x - 14 - wide > 0;
    this.tip.style.left = `${right ? x + 12 : left ? x - 12 - wide : Math.max(4, own.width - wide - 4)}px`;
    this.tip.style.top = `${right || left ? Math.max(plot.top - own.top, y - 20) : y + 18}px`;
  }

  key(e) {
    const board = this.board;
    if (!this.plot || e.ctrlKey || e.metaKey) return;
    const r = this.range(), mid = this.plot.cursor.idx != null ? this.data.x[this.plot.cursor.idx] : (r.min + r.max) / 2;
    const zoom = by => board.zoom(Math.max(this.data.x[0], mid - (mid - r.min) * by), mid + (r.max - mid) * by);
    if (e.key === 'ArrowLeft' || e.key === 'ArrowRight') {
      const from = this.plot.cursor.idx ?? this.data.x.length;
      const to = Math.max(0, Math.min(this.data.x.length - 1, from + (e.key === 'ArrowRight' ? 1 : -1) * (e.shiftKey ? 10 : 1)));
      board.pointed = this;
      this.plot.setCursor({ left: this.plot.valToPos(this.data.x[to], 'x'), top: 10 });
      this.tell(to);
    } else if (e.key === '+' || e.key === '=') zoom(0.5);
    else if (e.key === '-') zoom(2);
    else if (e.key === '0') board.zoom(null, null);
    else if (e.key === 'Escape') { board.pointed = null; this.tip.hidden = true; return; }
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  width() { return Math.max(220, Math.floor(this.plotAt.clientWidth)); }

  // True: the plot has another width now, and wants other buckets.
  fit() {
    if (!this.plot || this.plot.width === this.width()) return false;
    this.plot.setSize({ width: this.width(), height });
    return true;
  }

  remove() {
    this.plot?.destroy();
    this.figure.remove();
  }
}
