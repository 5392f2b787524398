// What a line alone hides: points that are no numbers, one step that leaves its band, and what lies beyond the axis.
const token = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A bucket's extreme is told from its band when it lies so many times the usual distance from the mean: of a normal distribution one
// bucket in a thousand would, so that noise stays a band.
const sticksOut = 3.3;

export class Overlay {
  constructor(panel) { this.panel = panel; }

  draw(u) {
    const ctx = u.ctx, dpr = devicePixelRatio, { left, top, width, height } = u.bbox;
    const d = this.panel.data, { min: low, max: high } = u.scales.y;
    if (low == null || high == null) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    const at = i => Math.round(u.valToPos(d.x[i], 'x', true));
    this.spikes(ctx, u, d, at, dpr);
    this.lone(ctx, u, d, at, dpr);
    this.notNumbers(ctx, d, at, top + height, dpr);
    ctx.restore();
    this.beyond(ctx, u, d, at, low, high, dpr);
  }

  // The extreme of a bucket that sticks out of the band is an opaque stroke, as wide as a line: one step in a million is seen.
  spikes(ctx, u, d, at, dpr) {
    // Under a smoothed line the raw one is faint: a step that leaves the smoothed one is told too, also where a bucket is one step.
    const middleOf = i => (d.smoothed && Number.isFinite(d.smoothed[i]) ? d.smoothed[i] : d.mean[i]);
    const up = usual(d, i => d.max[i] - middleOf(i)), down = usual(d, i => middleOf(i) - d.min[i]);
    const wide = Math.max(2, Math.round(2 * dpr)), near = 3 * dpr;
    ctx.fillStyle = this.panel.colour;
    const y = v => u.valToPos(v, 'y', true), floor = u.bbox.top + u.bbox.height;
    for (let i = 0; i < d.x.length; i++) {
      if (!Number.isFinite(d.mean[i])) continue;
      const centre = middleOf(i), middle = this.panel.board.log && centre <= 0 ? floor : y(centre);
      const stroke = to => {
        const a = Math.round(Math.max(u.bbox.top, Math.min(middle, to))), b = Math.round(Math.min(floor, Math.max(middle, to)));
        if (b - a >= near) ctx.fillRect(at(i) - Math.floor(wide / 2), a, wide, b - a);
      };
      if (d.max[i] - centre > sticksOut * up) stroke(this.panel.board.log && d.max[i] <= 0 ? floor : y(d.max[i]));
      if (centre - d.min[i] > sticksOut * down) stroke(this.panel.board.log && d.min[i] <= 0 ? floor : y(d.min[i]));
    }
  }

  // A point between two gaps is part of no line.
  lone(ctx, u, d, at, dpr) {
    const is = i => i >= 0 && i < d.x.length && this.panel.drawn(d.mean[i]);
    ctx.fillStyle = this.panel.colour;
    for (let i = 0; i < d.x.length; i++) {
      if (!is(i) || this.joins(d, i, -1, is) || this.joins(d, i, 1, is)) continue;
      ctx.beginPath();
      ctx.arc(at(i), u.valToPos(d.mean[i], 'y', true), 2 * dpr, 0, 7);
      ctx.fill();
    }
  }

  // Buckets without any point of this line are stepped over; one whose points are no numbers ends it.
  joins(d, i, way, is) {
    for (let k = i + way; k >= 0 && k < d.x.length; k += way) { if (is(k)) return true; if (d.bad[k] > 0 || Number.isFinite(d.mean[k])) return false; }
    return false;
  }

  notNumbers(ctx, d, at, floor, dpr) {
    const tick = (colour, i, tall) => { ctx.fillStyle = colour; ctx.fillRect(at(i) - dpr, floor - tall * dpr, Math.max(2, 2 * dpr), tall * dpr); };
    const bad = token('--ds-status-bad'), care = token('--ds-status-care');
    for (let i = 0; i < d.x.length; i++) {
      if (this.panel.board.log && d.min[i] <= 0) tick(care, i, 7);
      if (d.bad[i] > 0) tick(bad, i, 11);
    }
  }

  // An arrow where something lies beyond the axis, with its value where there is room; the furthest always has its own.
  beyond(ctx, u, d, at, low, high, dpr) {
    const { left, top, width, height } = u.bbox, size = 4 * dpr;
    const arrows = (of, isOut, edge, way, further) => {
      let last = -Infinity, furthest = null;
      const out = [];
      for (let i = 0; i < d.x.length; i++) {
        const x = at(i);
        if (x < left || x > left + width || !Number.isFinite(of[i]) || !isOut(of[i])) continue;
        if (furthest === null || further(of[i], of[furthest])) furthest = i;
        out.push(i);
        if (x - last < 2 * size) continue;
        last = x;
        ctx.beginPath();
        ctx.moveTo(x - size, edge + way * size);
        ctx.lineTo(x + size, edge + way * size);
        ctx.lineTo(x, edge);
        ctx.fill();
      }
      const taken = [];
      for (const i of out.sort((a, b) => (further(of[a], of[b]) ? -1 : 1))) {
        const text = this.panel.exact(of[i]), wide = ctx.measureText(text).width + 3 * size, x = at(i), right = x + wide < left + width;
        const [from, to] = right ? [x, x + wide] : [x - wide, x];
        if (taken.some(t => from < t[1] && to > t[0])) continue;
        taken.push([from, to]);
        ctx.textAlign = right ? 'left' : 'right';
        ctx.fillText(text, x + (right ? 1 : -1) * 1.6 * size, edge + way * 1.4 * size);
        if (taken.length === 6) break;
      }
    };
    ctx.save();
    ctx.fillStyle = token('--ds-ink');
    ctx.font = `600 ${11 * dpr}px system-ui, sans-serif`;
    ctx.textBaseline = 'middle';
    arrows(d.max, v => v > high, top, 1, (a, b) => a > b);
    if (!this.panel.board.log) arrows(d.min, v => v < low, top + height, -1, (a, b) => a < b);
    ctx.restore();
  }
}

// The middle of the distances that there are; where most buckets have one point and none, the smallest that tells a step apart.
function usual(d, distance) {
  const all = [];
  for (let i = 0; i < d.x.length; i++) { const v = distance(i); if (v > 0 && Number.isFinite(v)) all.push(v); }
  if (!all.length) return Infinity;
  all.sort((a, b) => a - b);
  const middle = all[all.length >> 1];
  return all.length < 4 ? 0 : middle;
}
