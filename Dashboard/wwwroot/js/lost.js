// A circuit that an error has ended does not come back; what is on the page stands still although the server is well.
import { answers, mayReload, reload } from './reload.js';

const readable = 1200; // ms that the words stay, so that a page that jumps is understood
let told = false;

async function tell() {
  if (told) return;
  told = true;
  const dialog = document.getElementById('ds-circuit-lost');
  const detail = dialog.querySelector('[data-circuit-detail]');
  if (!dialog.open) dialog.showModal();
  if (!mayReload()) {
    dialog.querySelector('h2').textContent = 'This page lost its server side again and again';
    detail.textContent = 'It was loaded anew three times within a minute and does so by itself no more. The control plane’s log says why.';
    return;
  }
  await new Promise(next => setTimeout(next, readable));
  while (!await answers()) {
    detail.textContent = 'The control plane does not answer. The page is loaded anew when it does.';
    await new Promise(next => setTimeout(next, 2000));
  }
  reload();
}

const sign = document.getElementById('blazor-error-ui');
new MutationObserver(() => { if (sign.style.display === 'block') tell(); }).observe(sign, { attributes: true, attributeFilter: ['style'] });
