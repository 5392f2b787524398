// One WebSocket per page and run, shared by all its charts. Server-sent events would use up a browser's six connections per host.
const feeds = new Map();
const text = new TextDecoder();

export function decodeFrame(buffer) {
  const view = new DataView(buffer);
  let at = 12;
  const word = () => {
    const length = view.getUint16(at, true);
    const s = text.decode(new Uint8Array(buffer, at + 2, length));
    at += 2 + length;
    return s;
  };
  const float = () => { at += 8; return view.getFloat64(at - 8, true); };
  const samples = [];
  for (let left = view.getInt32(8, true); left > 0; left--) {
    const sample = { stage: word(), attempt: (at += 4, view.getInt32(at - 4, true)), step: float(), tokens: float(), time: float(), values: new Map() };
    at += 2;
    for (let v = view.getUint16(at - 2, true); v > 0; v--) sample.values.set(word(), float());
    samples.push(sample);
  }
  return { missed: view.getInt32(4, true), samples };
}

class Feed {
  constructor(run) {
    this.run = run;
    this.listeners = new Set();
    this.pause = 500;
    this.open();
  }
  open() {
    const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/series/live?run=${encodeURIComponent(this.run)}`;
    this.socket = new WebSocket(url);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onopen = () => {
      if (this.lost) for (const l of this.listeners) l({ missed: 1, samples: [] });
      this.lost = false;
      this.pause = 500;
    };
    this.socket.onmessage = e => { const frame = decodeFrame(e.data); for (const l of this.listeners) l(frame); };
    this.socket.onclose = () => {
      this.lost = true;
      if (this.listeners.size) setTimeout(() => { if (this.listeners.size) this.open(); }, this.pause = Math.min(8000, this.pause * 2));
    };
  }
}

export function listen(run, listener) {
  if (!feeds.has(run)) feeds.set(run, new Feed(run));
  const feed = feeds.get(run);
  feed.listeners.add(listener);
  return () => {
    feed.listeners.delete(listener);
    if (!feed.listeners.size) { feeds.delete(run); feed.socket.close(); }
  };
}
