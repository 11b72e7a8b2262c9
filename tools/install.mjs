// tools/install.mjs: `node tools/install.mjs FOLDER…`: the packages of a folder that has a package.json of its own, installed by
// its lockfile on first use. What building, testing and type checks need stands in the package.json of the root and nowhere else.
//
// Promises: a folder whose packages are those of its lockfile is left alone; an install that was cut off is done again. No
// script of a package runs. Exit code 1, and what npm said, when npm fails.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Null: there is none. */
function textOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

function install(folder) {
  const path = join(ROOT, folder);
  const wanted = createHash('sha256')
    .update(readFileSync(join(path, 'package-lock.json')))
    .digest('hex');
  // Written last, so that half an install is none.
  const mark = join(path, 'node_modules/.installed-lockfile');
  if (textOf(mark) === wanted) return;
  process.stderr.write(`installing packages: npm ci --prefix ${folder}\n`);
  // Or npm takes what it told the script of the root, its prefix among them, for settings of this call.
  const own = Object.entries(process.env).filter(([name]) => !/^npm_(config_local_)?prefix$/i.test(name));
  const flags = ['ci', '--prefix', path, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', flags, {
    cwd: path,
    env: Object.fromEntries(own),
    stdio: ['ignore', 2, 2],
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`npm ci --prefix ${folder} ended with ${status}`);
  writeFileSync(mark, wanted);
}

try {
  for (const folder of process.argv.slice(2)) install(folder);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
