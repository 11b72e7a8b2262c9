// helpers/curl.ts: the real curl, where there is one.
import { execFile, spawnSync } from 'node:child_process';

export const hasCurl = spawnSync('curl', ['--version']).status === 0;

export interface CurlAnswer {
  readonly status: number;
  readonly text: string;
  /** The output of `-v`: both heads, line by line. */
  readonly log: string;
}

/** Runs curl, or a shell line that contains a curl call. curl writes the status after the answer. */
export function curl(args: readonly string[] | string): Promise<CurlAnswer> {
  const mark = '\n%{http_code}';
  const [file, all] =
    typeof args === 'string'
      ? ['sh', ['-c', args.replace(/^curl /, `curl -sS -v -w '${mark.replace('\n', '\\n')}' `)]]
      : ['curl', ['-sS', '-v', '-w', mark.replace('\n', '\\n'), ...args]];
  return new Promise((resolve, reject) => {
    execFile(file as string, all as string[], { timeout: 60_000 }, (error, stdout, stderr) => {
      const [, text = '', status = ''] = /^([\s\S]*)\n(\d{3})$/.exec(stdout) ?? [];
      if (error !== null && status === '') reject(new Error(`${error.message}\n${stderr}`));
      else resolve({ status: Number(status), text, log: stderr });
    });
  });
}
