// <ds-follow following>: stays at its end while lines come, until the reader scrolls up; scrolling back down follows again.
customElements.define('ds-follow', class extends HTMLElement {
  connectedCallback() {
    this.atEnd = true;
    this.changes = new MutationObserver(() => this.toEnd());
    this.changes.observe(this, { childList: true, subtree: true, attributes: true, attributeFilter: ['style'] });
    this.onScroll = () => { this.atEnd = this.scrollHeight - this.scrollTop - this.clientHeight < 40; };
    this.addEventListener('scroll', this.onScroll, { passive: true });
    this.toEnd();
  }
  disconnectedCallback() { this.changes.disconnect(); this.removeEventListener('scroll', this.onScroll); }
  toEnd() {
    if (this.getAttribute('following') === 'true' && this.atEnd) requestAnimationFrame(() => { this.scrollTop = this.scrollHeight; });
  }
});
