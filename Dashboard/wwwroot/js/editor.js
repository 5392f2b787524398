// The pipeline editor. One scroller holds the line numbers and the text, which is as high and as wide as what is written; what stands on
// the left is drawn here, so that a file of thousands of lines costs the circuit nothing.
const lineHeight = 20; // px, as in PipelineEditor.razor.css
const pause = 200;     // ms: the server gets the text when the fingers rest, not with each key

// <ds-gutter lines="92" problems='[[76,"error","words"]]'>
customElements.define('ds-gutter', class extends HTMLElement {
  static observedAttributes = ['lines', 'problems'];
  connectedCallback() {
    if (this.numbers) return;
    this.numbers = document.createElement('pre');
    this.marks = document.createElement('div');
    this.append(this.marks, this.numbers);
    this.draw();
  }
  attributeChangedCallback() { if (this.numbers) this.draw(); }
  draw() {
    const lines = Number(this.getAttribute('lines')) || 1;
    if (this.drawn !== lines) this.numbers.textContent = Array.from({ length: lines }, (_, i) => i + 1).join('\n');
    this.drawn = lines;
    this.marks.replaceChildren(...JSON.parse(this.getAttribute('problems') || '[]').map(([line, level, words]) => {
      const mark = document.createElement('span');
      mark.className = level;
      mark.dataset.line = line;
      mark.title = words;
      mark.textContent = '●';
      mark.style.top = `${(line - 1) * lineHeight}px`;
      return mark;
    }));
  }
});

// A problem's line number puts the caret on that line, and the line into sight.
document.addEventListener('click', e => {
  const line = Number(e.target.closest?.('[data-goto-line]')?.dataset.gotoLine);
  const field = document.querySelector('textarea[data-pipeline]');
  if (!line || !field) return;
  const lines = field.value.split('\n');
  const start = lines.slice(0, line - 1).reduce((sum, l) => sum + l.length + 1, 0);
  const paper = field.closest('[data-paper]');
  field.focus({ preventScroll: true });
  field.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  paper.scrollIntoView({ block: 'nearest' });
  paper.scrollTop = (line - 1) * lineHeight - paper.clientHeight / 3;
  paper.scrollLeft = 0;
});

// Typing reaches the server in pauses; whoever leaves the field, by a click on the button too, has said all.
let due = 0;
function tell(field) {
  clearTimeout(due);
  due = 0;
  field.dispatchEvent(new CustomEvent('input', { bubbles: true }));
}
document.addEventListener('input', e => {
  if (!e.isTrusted || !e.target.matches?.('textarea[data-pipeline]')) return;
  e.stopImmediatePropagation();
  clearTimeout(due);
  due = setTimeout(() => tell(e.target), pause);
}, true);
document.addEventListener('focusout', e => { if (due && e.target.matches?.('textarea[data-pipeline]')) tell(e.target); }, true);
