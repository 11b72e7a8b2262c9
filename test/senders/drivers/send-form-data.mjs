// send-form-data.mjs: the package form-data. Modes: `piped` into node:http, which is the chunked transfer coding; `submit`,
// which counts the length first.
import { once } from 'node:events';
import { request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { packageFormOf, run } from './runs.mjs';

function begin(form, { url, headers, mode }) {
  if (mode === 'submit') {
    const { hostname: host, port, pathname: path } = new URL(url);
    return form.submit({ host, port, path, headers });
  }
  return form.pipe(request(url, { method: 'POST', headers: { ...headers, ...form.getHeaders() } }));
}

await run(async (sending) => {
  const sent = begin(packageFormOf(sending), sending);
  const [response] = await once(sent, 'response');
  const outcome = { status: response.statusCode, text: await textOf(response) };
  // After a refusal nobody goes on with the body, and the connection would keep this process alive until the server ends it.
  sent.destroy();
  return outcome;
});
