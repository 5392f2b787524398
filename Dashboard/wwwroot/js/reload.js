// Loading the page anew, which brings it back as the address has it, but never round and round.
const most = 3;            // reloads by themselves within the window: one may meet a server that is just starting, three mean that it is the page
const window_ = 60_000;    // ms
const key = 'dsops-reloads';

function recent() {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? '[]').filter(at => Math.abs(Date.now() - at) < window_);
  } catch {
    return []; // Storage is switched off, or somebody else wrote there: then nothing is known of earlier ones.
  }
}

/** Whether anybody is there who can send the page: a reload without one shows the browser's own error. */
export async function answers() {
  try {
    // 503 is the control plane's own word where it cannot write; a gateway's words mean that nobody is behind it.
    return ![502, 504].includes((await fetch('/healthz', { cache: 'no-store' })).status);
  } catch {
    return false;
  }
}

/** False: it has been loaded anew so often that once more is of no use. */
export function mayReload() { return recent().length < most; }

export function reload() {
  try {
    sessionStorage.setItem(key, JSON.stringify([...recent(), Date.now()]));
  } catch {
    // Without storage the bound is lost, the reload is not.
  }
  location.reload();
}
