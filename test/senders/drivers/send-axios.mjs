// send-axios.mjs: axios. Modes: `FormData`: the one of the platform; `form-data`: the package, with the file as a stream.
import axios from 'axios';
import { formOf, packageFormOf, run } from './runs.mjs';

await run(async (sending) => {
  const form = sending.mode === 'FormData' ? formOf(sending) : packageFormOf(sending);
  const { status, data } = await axios.post(sending.url, form, {
    headers: sending.headers,
    validateStatus: () => true,
    transformResponse: (text) => text,
  });
  return { status, text: data };
});
