// Restarts, failures and checkpoints on the charts. A mark is {kind, x, text}; labels that would collide keep only their line.
const looks = {
  checkpoint: { token: '--ds-mark-checkpoint', glyph: '▾', line: false },
  restart: { token: '--ds-mark-restart', glyph: '↻', line: true },
  failure: { token: '--ds-mark-restart', glyph: '✕', line: true },
  warning: { token: '--ds-status-care', glyph: '!', line: true },
};

export class Marks {
  constructor() { this.all = []; }

  take(json) {
    try { this.all = JSON.parse(json || '[]'); } catch { this.all = []; }
  }

  draw(u) {
    const ctx = u.ctx, dpr = devicePixelRatio, { left, top, width, height } = u.bbox;
    const style = getComputedStyle(document.documentElement);
    let free = -Infinity;
    ctx.save();
    ctx.font = `${11 * dpr}px system-ui, sans-serif`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'bottom';
    for (const mark of this.all) {
      const look = looks[mark.kind], x = Math.round(u.valToPos(mark.x, 'x', true));
      if (!look || x < left || x > left + width) continue;
      ctx.strokeStyle = ctx.fillStyle = style.getPropertyValue(look.token).trim();
      if (look.line) {
        ctx.globalAlpha = 0.75;
        ctx.lineWidth = dpr;
        ctx.setLineDash([4 * dpr, 3 * dpr]);
        ctx.beginPath();
        ctx.moveTo(x, top);
        ctx.lineTo(x, top + height);
        ctx.stroke();
      }
      ctx.globalAlpha = look.line ? 1 : 0.7;
      if (x - free >= 9 * dpr) {
        ctx.fillText(look.glyph, x, top - 1);
        free = x;
      }
    }
    ctx.restore();
  }

  // The mark a pointer at x means, if one is within a few pixels.
  near(u, x) {
    const px = u.valToPos(x, 'x');
    let best = null, distance = 7;
    for (const mark of this.all) {
      const d = Math.abs(u.valToPos(mark.x, 'x') - px) + (looks[mark.kind]?.line ? 0 : 2);
      if (d < distance) [best, distance] = [mark, d];
    }
    return best;
  }
}
