// What every page loads. Custom elements take parameters as attributes, so that the circuit carries no points and no ticks.
import './theme.js';
import './keys.js';
import './reconnect.js';
import './lost.js';
import './heartbeat.js';
import './time.js';
import './fresh.js';
import './spark.js';
import './heat.js';
import './experts.js';
import './trace.js';
import './draft.js';
import './editor.js';
import './follow.js';
import './charts/board.js';
