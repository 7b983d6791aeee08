// npm's ws, measured as ours is:   node client.mjs produce|consume PORT PATH COUNT SIZE OUTSTANDING
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
let WebSocket;
try { WebSocket = require('ws'); } catch { WebSocket = require('/usr/share/nodejs/ws'); } // Debian's node-ws
const [mode, port, path, countText, sizeText, outstandingText] = process.argv.slice(2);
const count = +countText, outstanding = +outstandingText, payload = Buffer.alloc(+sizeText, 'x');

const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false });
let sent = 0, got = 0, began, before;
function fill() {
  while (sent < count && sent - got < outstanding)
    socket.send(JSON.stringify({ payload: payload.toString('base64'), context: String(sent++) }));
}
socket.on('open', () => { began = process.hrtime.bigint(); before = process.cpuUsage(); if (mode === 'produce') fill(); });
socket.on('message', data => {
  const frame = JSON.parse(data);
  if (mode === 'produce') {
    if (frame.result !== 'ok') throw new Error(`a message was refused: ${data}`);
  } else {
    Buffer.from(frame.payload, 'base64');
    socket.send(JSON.stringify({ messageId: frame.messageId }));
  }
  if (++got === count) {
    const seconds = Number(process.hrtime.bigint() - began) / 1e9, used = process.cpuUsage(before);
    console.log(JSON.stringify({ messages: count, seconds, rate: count / seconds, processorMicros: (used.user + used.system) / count, medianMicros: 0 }));
    socket.close();
  } else if (mode === 'produce') fill();
});
socket.on('error', why => { console.error(String(why)); process.exit(1); });
