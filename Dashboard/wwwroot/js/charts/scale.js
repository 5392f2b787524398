// What a chart's vertical axis spans, and where its marks lie. One outlier must not flatten all else, and must not vanish either: what
// lies beyond the axis is told by an arrow at its edge.

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(q * (sorted.length - 1))))];

// Where the lowest and the highest fiftieth of the buckets end, a chart reaches as far again; the least and the largest value within that
// are on it.
const share = 0.02, reach = 1;

export function span(d, from, to, log) {
  const lows = [], highs = [];
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < d.x.length; i++) {
    if (d.x[i] < from || d.x[i] > to || !Number.isFinite(d.mean[i]) || (log && d.max[i] <= 0)) continue;
    low = Math.min(low, log && d.min[i] <= 0 ? d.max[i] : d.min[i]);
    high = Math.max(high, d.max[i]);
    lows.push(d.min[i]);
    highs.push(d.max[i]);
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  // A logarithm has room for outliers, a few points have none, and where all else is one value nothing can be flattened.
  if (!log && lows.length >= 20) {
    lows.sort((a, b) => a - b);
    highs.sort((a, b) => a - b);
    const a = quantile(lows, share), b = quantile(highs, 1 - share), more = (b - a) * reach;
    if (more > 0) { low = Math.max(low, a - more); high = Math.min(high, b + more); }
  }
  if (log) return [low * 0.9, high * 1.1];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

// Marks at 1, 2 and 5 of each power of ten; where fewer than two fall on the axis, evenly.
export function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const digit of [1, 2, 5]) { const t = digit * 10 ** power; if (t >= low && t <= high) ticks.push(+t.toPrecision(1)); }
  if (ticks.length > 8) return ticks.filter(t => String(t.toExponential())[0] === '1');
  return ticks.length >= 2 ? ticks : [low + (high - low) * 0.1, (low + high) / 2, high - (high - low) * 0.1].map(t => +t.toPrecision(3));
}

const pad = n => String(n).padStart(2, '0');

// Always 24 hours, one line, as much as the zoom tells apart.
export function timeTicks(ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  let day = null;
  return ticks.map(t => {
    const d = new Date(t * 1000), date = `${pad(d.getDate())}.${pad(d.getMonth() + 1)}.`;
    if (step >= 86400) return date;
    const clock = `${pad(d.getHours())}:${pad(d.getMinutes())}${step < 60 ? `:${pad(d.getSeconds())}` : ''}`;
    const first = day !== null && day !== date;
    day = date;
    return first ? date : clock;
  });
}
