// A circuit is lost when the control plane goes away. All view state is in the URL, so a reload brings the page back whole.
import { answers, mayReload, reload } from './reload.js';

const modal = () => document.getElementById('components-reconnect-modal');
let waiting = false;

function say(text) {
  const line = modal()?.querySelector('[data-lost-detail]');
  if (line) line.textContent = text;
}

async function waitAndReload() {
  if (waiting) return;
  waiting = true;
  for (let asked = 1; ; asked++) {
    if (await answers()) {
      if (mayReload()) reload(); else say('The control plane answers again, but loading the page anew did not help three times. Its log says why.');
      return;
    }
    say(`Asked ${asked} ${asked === 1 ? 'time' : 'times'}. Asking again every two seconds.`);
    await new Promise(next => setTimeout(next, 2000));
  }
}

document.addEventListener('components-reconnect-state-changed', e => {
  const { state, currentAttempt } = e.detail;
  if (state === 'show' && !modal().open) modal().showModal();
  else if (state === 'hide') modal().close();
  else if (state === 'retrying') say(currentAttempt ? `Attempt ${currentAttempt} to connect.` : 'Connecting.');
  else if (state === 'failed' || state === 'rejected') waitAndReload();
}, true);

document.addEventListener('click', e => { if (e.target.closest?.('[data-lost-reload]')) location.reload(); });
