// send-form-data.mjs: the package form-data. Modes: `piped` into node:http, which is the chunked transfer coding; `submit`,
// which counts the length first.
import { request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { packageFormOf, run } from './runs.mjs';

function answerTo(form, { url, headers, mode }) {
  return new Promise((resolve, reject) => {
    if (mode === 'submit') {
      const { hostname: host, port, pathname: path } = new URL(url);
      const answered = (error, response) => (error ? reject(error) : resolve(response));
      form.submit({ host, port, path, headers }, answered);
    } else {
      const sent = request(url, { method: 'POST', headers: { ...headers, ...form.getHeaders() } });
      form.pipe(sent.on('response', resolve).on('error', reject));
    }
  });
}

await run(async (sending) => {
  const response = await answerTo(packageFormOf(sending), sending);
  return { status: response.statusCode, text: await textOf(response) };
});
