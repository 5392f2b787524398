// Shortcuts that work on every page. They never fire while somebody types.
const pages = { r: '/', c: '/cluster', i: '/incidents', a: '/audit', p: '/planner', t: '/try', n: '/submit' };
let went = 0; // when "g" was pressed, in ms

function typing(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function moveRow(by) {
  const rows = [...document.querySelectorAll('[data-row] a[data-row-link]')];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))].focus();
}

document.addEventListener('keydown', e => {
  if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && e.target.dataset?.ctrlEnter) {
    e.preventDefault();
    document.querySelector(e.target.dataset.ctrlEnter)?.click();
    return;
  }
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (typing(e.target)) {
    if (e.key === 'Escape') e.target.blur();
    return;
  }
  if (went && performance.now() - went < 1200 && pages[e.key]) {
    went = 0;
    e.preventDefault();
    window.Blazor.navigateTo(pages[e.key]);
    return;
  }
  went = e.key === 'g' ? performance.now() : 0;
  if (e.key === '/') {
    const field = document.querySelector('[data-search] input, input[data-search]');
    if (field) { e.preventDefault(); field.focus(); field.select(); }
  } else if (e.key === '?') {
    document.getElementById('ds-keys')?.showModal();
  } else if (e.key === 'j' || e.key === 'k') {
    moveRow(e.key === 'j' ? 1 : -1);
  }
});

document.addEventListener('click', e => {
  const opener = e.target.closest?.('[data-opens]');
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
});
