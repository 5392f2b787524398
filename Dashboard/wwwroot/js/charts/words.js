// Names and figures of series, as on the rest of the pages.
const known = {
  loss: ['Loss', 'fixed'], mtp_loss: ['MTP loss', 'fixed'], mfu: ['MFU', 'share'], tokens_per_second: ['Tokens/s', 'count'],
  grad_norm: ['Gradient norm', 'small'], learning_rate: ['Learning rate', 'small'], step_seconds: ['Step time', 'seconds'],
  reward: ['Reward', 'small'], accuracy: ['Accuracy', 'share'], format_rate: ['Format rate', 'share'], kl: ['KL to the reference', 'small'],
  output_tokens: ['Tokens of an output', 'count'], teacher_kl: ['KL to the teacher', 'small'], balance_loss: ['Balance loss', 'small'],
  mtp_guesses_kept: ['MTP acceptance rate', 'share'], zero_advantage_groups: ['Groups without advantage', 'count'], step: ['Step', 'whole'],
};

export const title = name => known[name]?.[0] ?? name.replaceAll('_', ' ').replace(/^./, c => c.toUpperCase());

export function count(value) {
  const letters = ['', ' k', ' M', ' B', ' T', ' P'];
  let power = 0;
  while (Math.abs(value) >= 999.5 && power < letters.length - 1) { value /= 1000; power++; }
  return digits(value, power === 0) + letters[power];
}

function digits(value, whole) {
  if (whole && Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

function small(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 0.01 || size >= 1e5 ? value.toExponential(2) : digits(value, false);
}

export function figure(name, value) {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+∞' : '−∞';
  switch (known[name]?.[1]) {
    case 'fixed': return value.toFixed(4);
    case 'share': return `${(value * 100).toFixed(1)} %`;
    case 'count': return count(value);
    case 'seconds': return value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(2)} s`;
    default: return small(value);
  }
}

// Whole numbers in groups of three, with the thin space of the rest of the pages.
export const whole = value => Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, ',');

// As many digits as the wire carries: for who wants to know it exactly.
export function exact(name, value) {
  if (!Number.isFinite(value)) return figure(name, value);
  switch (known[name]?.[1]) {
    case 'share': return `${+(value * 100).toPrecision(5)} %`;
    case 'count': return value >= 1000 ? whole(value) : String(+value.toPrecision(6));
    case 'seconds': return `${+value.toPrecision(5)} s`;
    default: { const size = Math.abs(value); return size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(4) : String(+value.toPrecision(6)); }
  }
}

// Axis marks drop the zeros that a figure in a legend keeps.
export function tick(name, value) {
  if (value === null) return '';
  switch (known[name]?.[1]) {
    case 'share': return `${+(value * 100).toFixed(2)} %`;
    case 'whole': return Number.isInteger(value) ? whole(value) : '';
    case 'count': return count(value).replace(/\.?0+(?= |$)/, m => m.includes('.') ? '' : m);
    default: if (Number.isInteger(value) && Math.abs(value) >= 1e4 && Math.abs(value) < 1e5) return whole(value);
      return Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 0.001) ? value.toExponential().replace(/(\.\d{2})\d+/, '$1') : String(+value.toPrecision(4));
  }
}

const pad = n => String(n).padStart(2, '0');

export function place(axis, value) {
  if (axis === 'tokens') return `${count(value)} tokens`;
  if (axis !== 'time') return `step ${whole(value)}`;
  const d = new Date(value * 1000);
  return `${pad(d.getDate())}.${pad(d.getMonth() + 1)}. ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}
