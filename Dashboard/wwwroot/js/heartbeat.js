// Whether the control plane answers. The circuit notices a server that hangs only after half a minute; a small question of our own,
// asked again and again, notices within five seconds, and also says when it is over.
const every = 1500;    // ms between an answer and the next question
const patience = 3000; // ms for one answer: with the pause before it still within five seconds, and long for a server under load
// By the clock that nobody sets: one that is set back would hide a dead server for as long.
let lastAnswer = performance.now();
let silent = false;

const pad = n => String(n).padStart(2, '0');
const clock = d => `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;

function show() {
  const bar = document.getElementById('ds-silence');
  if (!bar) return;
  bar.hidden = !silent;
  if (silent) {
    const since = performance.now() - lastAnswer, seconds = Math.round(since / 1000);
    const at = clock(new Date(Date.now() - since));
    bar.querySelector('[data-silence]').textContent = `The control plane has not answered since ${at} (${seconds} s).`;
  }
}

async function ask() {
  const begun = performance.now();
  try {
    // Any answer is one, a refusal too: it is asked whether somebody is there.
    await fetch('/healthz', { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(patience) });
    [lastAnswer, silent] = [performance.now(), false];
  } catch {
    // A hidden tab's timers stand still: its silence is its own.
    silent = !document.hidden;
  }
  show();
  setTimeout(ask, Math.max(0, every - (performance.now() - begun)));
}

setInterval(() => { if (silent) show(); }, 1000);
document.addEventListener('visibilitychange', () => { if (!document.hidden) lastAnswer = performance.now(); });
ask();
