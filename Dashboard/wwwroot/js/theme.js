// Light, dark or as the system has it. The cookie lets the server send the first HTML in the right colours.
const cookie = 'dsops-theme';
const system = matchMedia('(prefers-color-scheme: dark)');
let page = null;
let tries = 0;

// A call that is made while the connection is broken is neither carried out later nor refused: the page would stay in half of the other
// colours until the next change.
const askAgainAfter = 5000;

function preference() {
  const asked = new URLSearchParams(location.search).get('theme');
  if (asked === 'light' || asked === 'dark' || asked === 'system') return asked;
  const kept = document.cookie.split('; ').find(c => c.startsWith(cookie + '='));
  return kept ? kept.slice(cookie.length + 1).split('.')[0] : 'system';
}

function apply(chosen) {
  const dark = chosen === 'dark' || (chosen === 'system' && system.matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  document.cookie = `${cookie}=${chosen}.${dark ? 'dark' : 'light'}; path=/; max-age=31536000; samesite=lax`;
  dispatchEvent(new CustomEvent('ds-theme'));
  tell(chosen, dark, ++tries);
}

function tell(chosen, dark, number) {
  let heard = false;
  page?.invokeMethodAsync('OnThemeResolved', chosen, dark).then(() => { heard = true; }, () => { });
  if (page) setTimeout(() => { if (!heard && number === tries) tell(chosen, dark, number); }, askAgainAfter);
}

system.addEventListener('change', () => apply(preference()));
apply(preference());

export function watch(layout) {
  page = layout;
  apply(preference());
}

export function choose(chosen) {
  apply(chosen);
}
