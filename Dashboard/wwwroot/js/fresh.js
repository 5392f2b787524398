// How old what one sees is, counted in the browser, so that it counts on while the server or the circuit stands still.
// <ds-beat of="run" n="7">: its number changes with each word of that stream. <ds-fresh of="run">: says nothing while the last word is
// young, then "as of 21:17:21, 8 s ago". <ds-fresh at="ISO">: of a moment that the server names.
import { ago } from './time.js';

const young = 5000; // ms: streams speak every two seconds also when nothing has changed
// When each stream spoke last, by the clock that nobody sets.
const heard = new Map();
const shown = new Set();
const pad = n => String(n).padStart(2, '0');
const clock = d => `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;

customElements.define('ds-beat', class extends HTMLElement {
  static observedAttributes = ['of', 'n'];
  attributeChangedCallback() { this.beat(); }
  connectedCallback() { this.beat(); }
  beat() {
    // The first number is 0: nothing has come yet, so there is nothing that could be old.
    if (this.isConnected && Number(this.getAttribute('n')) > 0) heard.set(this.getAttribute('of'), performance.now());
    for (const e of shown) e.tell();
  }
  disconnectedCallback() { heard.delete(this.getAttribute('of')); }
});

customElements.define('ds-fresh', class extends HTMLElement {
  static observedAttributes = ['of', 'at'];
  connectedCallback() {
    if (!this.shadowRoot) this.attachShadow({ mode: 'open' });
    shown.add(this);
    this.tell();
  }
  disconnectedCallback() { shown.delete(this); }
  attributeChangedCallback() { if (this.shadowRoot) this.tell(); }
  tell() {
    const age = this.hasAttribute('at') ? Date.now() - Date.parse(this.getAttribute('at'))
      : performance.now() - heard.get(this.getAttribute('of'));
    // NaN, of what has not been heard, is not old.
    const old = age > young;
    const text = old ? `as of ${clock(new Date(Date.now() - age))}, ${ago(age / 1000)}` : '';
    if (this.shadowRoot.textContent !== text) this.shadowRoot.textContent = text;
    this.toggleAttribute('old', old);
  }
});

setInterval(() => { for (const e of shown) e.tell(); }, 1000);
