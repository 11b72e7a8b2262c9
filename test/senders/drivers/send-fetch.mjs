// send-fetch.mjs: Node's fetch. Modes: `length`: a FormData; `chunked`: the same form, as a stream of unknown length.
import { formOf, run } from './runs.mjs';

await run(async (sending) => {
  const { url, headers, mode } = sending;
  const whole = new Request(url, { method: 'POST', headers, body: formOf(sending) });
  const streamed = { method: 'POST', headers: whole.headers, body: whole.body, duplex: 'half' };
  const response = await (mode === 'chunked' ? fetch(url, streamed) : fetch(whole));
  return { status: response.status, text: await response.text() };
});
