// What somebody has written on New run, kept by the browser until it is submitted: a reload, a click elsewhere and back and a server
// that went away lose nothing. One draft for each beginning (an example, a clone).
const key = 'dsops-drafts';

function all() {
  try {
    return JSON.parse(sessionStorage.getItem(key)) ?? {};
  } catch {
    return {}; // Storage is switched off, or holds somebody else's text.
  }
}

function keep(drafts) {
  try {
    sessionStorage.setItem(key, JSON.stringify(drafts));
  } catch {
    // Full or switched off: the text is on the page alone, as it would be without drafts.
  }
}

/** The draft of that beginning; of none (the plain address) the one that was written in last. */
export function read(from) {
  flush();
  const drafts = all();
  const newest = from || Object.keys(drafts).sort((a, b) => drafts[b].at - drafts[a].at)[0];
  const draft = drafts[newest];
  return draft ? { from: newest, text: draft.text, at: new Date(draft.at).toISOString() } : null;
}

export function write(from, text) { keep({ ...all(), [from]: { text, at: Date.now() } }); }

export function drop(from) {
  typed = null;
  const { [from]: gone, ...others } = all();
  keep(others);
}

// Kept without the circuit, so that nothing is lost while that is away: when the fingers rest, and before the page goes.
let typed = null;
let due = 0;
function flush() {
  clearTimeout(due);
  if (typed) write(typed.dataset.draft, typed.value);
  typed = null;
}
document.addEventListener('input', e => {
  if (!e.target.dataset?.draft) return;
  typed = e.target;
  clearTimeout(due);
  due = setTimeout(flush, 250);
}, true);
document.addEventListener('focusout', flush, true);
addEventListener('pagehide', flush);
