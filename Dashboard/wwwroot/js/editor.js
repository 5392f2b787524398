// A problem's line number puts the caret on that line.
document.addEventListener('click', e => {
  const line = Number(e.target.closest?.('[data-goto-line]')?.dataset.gotoLine);
  const field = document.querySelector('textarea[data-pipeline]');
  if (!line || !field) return;
  const lines = field.value.split('\n');
  const start = lines.slice(0, line - 1).reduce((sum, l) => sum + l.length + 1, 0);
  field.focus();
  field.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  field.parentElement.scrollTop = (line - 6) * 20;
});
