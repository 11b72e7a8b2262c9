// send-curl.mjs: curl, told on its command line. Modes: `length`; `chunked`: the chunked transfer coding; `stdin`: the file from
// a pipe; `http1.0`; `form-escape`: names with a backslash before quotes instead of `%22`.
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { text as textOf } from 'node:stream/consumers';
import { run } from './runs.mjs';

const FLAGS = {
  chunked: ['-H', 'Transfer-Encoding: chunked'],
  'http1.0': ['--http1.0'],
  'form-escape': ['--form-escape'],
};

function argumentsFor({ url, headers, fields, path, filename, isFileFirst, mode }) {
  // In curl's own language of forms quotes and backslashes are escaped.
  const name = filename === null ? '' : `;filename="${filename.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  const file = ['-F', `file=@${mode === 'stdin' ? '-' : path}${name}`];
  const others = fields.flatMap(([field, value]) => ['--form-string', `${field}=${value}`]);
  const sent = Object.entries(headers).flatMap(([header, value]) => ['-H', `${header}: ${value}`]);
  const flags = ['-sS', '--max-time', '20', '-w', '\n%{http_code}', ...(FLAGS[mode] ?? []), ...sent];
  return [...flags, ...(isFileFirst ? [...file, ...others] : [...others, ...file]), url];
}

await run(async (sending) => {
  const curl = spawn('curl', argumentsFor(sending));
  if (sending.mode === 'stdin') createReadStream(sending.path).pipe(curl.stdin);
  const [stdout, stderr] = await Promise.all([textOf(curl.stdout), textOf(curl.stderr)]);
  // A word of complaint is an error, whatever was answered.
  if (stderr !== '') throw new Error(stderr);
  const at = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(at + 1)), text: stdout.slice(0, at) };
});
