// <ds-ago at="ISO"> and <ds-time at="ISO">: in the reader's time zone, counted on in the browser and not over the circuit.
// The words go to a shadow root, so that what Blazor rendered inside stays its own.
const shown = new Set();

export function ago(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 2) return 'now';
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

const pad = n => String(n).padStart(2, '0');
const clock = d => `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;

class Moment extends HTMLElement {
  static observedAttributes = ['at'];
  connectedCallback() {
    if (!this.shadowRoot) this.attachShadow({ mode: 'open' });
    shown.add(this);
    this.tell();
  }
  disconnectedCallback() { shown.delete(this); }
  attributeChangedCallback() { if (this.shadowRoot) this.tell(); }
  tell() {
    const at = new Date(this.getAttribute('at'));
    const text = Number.isNaN(at.getTime()) ? '–' : this.words(at);
    if (this.shadowRoot.textContent !== text) this.shadowRoot.textContent = text;
    this.title = at.toLocaleString();
  }
}

customElements.define('ds-ago', class extends Moment { words(at) { return ago((Date.now() - at) / 1000); } });
customElements.define('ds-time', class extends Moment {
  words(at) { return at.toDateString() === new Date().toDateString() ? clock(at) : `${pad(at.getDate())}.${pad(at.getMonth() + 1)}. ${clock(at)}`; }
});

setInterval(() => { for (const e of shown) e.tell(); }, 1000);
