// senders.ts: the senders that are tested, and which of them this machine has.
//
// Must not know: vitest, which runs this outside its tests, too.
import { spawnSync } from 'node:child_process';
import { extname } from 'node:path';

/** The good key of the server that has keys; on the other one every key is good. */
export const KEY = 'a-good-key';
/** Another good one, for who fills the place that a key has. */
export const FULL_KEY = 'a-key-with-much-to-do';

export interface Sender {
  readonly name: string;
  /** What this machine does not have of that which it needs; null: nothing is missing. */
  readonly missing: string | null;
  /** In examples/senders. */
  readonly example: string;
  /** In test/senders/drivers. */
  readonly driver: string;
  /** The ways in which the driver can send a form. */
  readonly modes: readonly string[];
}

/** The first of the commands that succeeds with these arguments. */
function firstOf(commands: readonly string[], ...probe: string[]): string | null {
  return commands.find((command) => spawnSync(command, probe).status === 0) ?? null;
}

const PYTHONS = ['/usr/bin/python3', 'python3'];
const pythonWithRequests = firstOf(PYTHONS, '-c', 'import requests');
const python = pythonWithRequests ?? firstOf(PYTHONS, '--version');
const php = firstOf(['php'], '-r', 'new CURLStringFile("", "");');
const ruby = firstOf(['ruby'], '--version');
const curl = firstOf(['curl'], '--version');
export const go = firstOf(['go', '/usr/local/go/bin/go'], 'version');

export const SENDERS: readonly Sender[] = [
  {
    name: 'curl',
    missing: curl === null ? 'curl' : null,
    example: 'upload.sh',
    driver: 'send-curl.mjs',
    modes: ['length', 'chunked', 'stdin', 'http1.0', 'form-escape'],
  },
  {
    name: 'Python requests',
    missing: pythonWithRequests === null ? 'python3 with requests' : null,
    example: 'upload_requests.py',
    driver: 'send_requests.py',
    modes: ['length', 'chunked'],
  },
  {
    name: 'Python http.client',
    missing: python === null ? 'python3' : null,
    example: 'upload_http_client.py',
    driver: 'send_http_client.py',
    modes: ['length', 'chunked'],
  },
  {
    name: 'Node fetch',
    missing: null,
    example: 'upload-fetch.mjs',
    driver: 'send-fetch.mjs',
    modes: ['length', 'chunked'],
  },
  {
    name: 'form-data',
    missing: null,
    example: 'upload-form-data.mjs',
    driver: 'send-form-data.mjs',
    modes: ['piped', 'submit'],
  },
  {
    name: 'axios',
    missing: null,
    example: 'upload-axios.mjs',
    driver: 'send-axios.mjs',
    modes: ['FormData', 'form-data'],
  },
  {
    name: 'Go',
    missing: go === null ? 'go' : null,
    example: 'upload.go',
    driver: 'send.go',
    modes: ['buffered', 'piped', 'quoted'],
  },
  {
    name: 'PHP',
    missing: php === null ? 'php 8.1 or newer with its curl extension' : null,
    example: 'upload.php',
    driver: 'send.php',
    modes: ['CURLFile', 'CURLStringFile', 'chunked'],
  },
  {
    name: 'Ruby',
    missing: ruby === null ? 'ruby' : null,
    example: 'upload.rb',
    driver: 'send.rb',
    modes: ['length', 'chunked'],
  },
];

export function senderNamed(name: string): Sender {
  const sender = SENDERS.find((one) => one.name === name);
  if (sender === undefined) throw new Error(`there is no sender ${name}`);
  return sender;
}

export function sentenceOf({ name, missing }: Sender): string {
  return `${name} is not tested: this machine has no ${missing}.`;
}

/** What a program is started with, before its own path. A Go program is built, and started by itself. */
export function starterOf(program: string): string[] {
  const starters: Readonly<Record<string, string | null>> = {
    '.sh': 'bash',
    '.mjs': process.execPath,
    '.py': python,
    '.php': php,
    '.rb': ruby,
  };
  return [starters[extname(program)] ?? []].flat();
}
