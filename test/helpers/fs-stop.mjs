// helpers/fs-stop.mjs: is loaded into a server's process before the server (`node --import`). It stops the process right before a
// chosen change of the disk.
//
// The file FS_STOP_AT says which change: `write main` is the call and a part of the path. When such a call comes, the file is
// removed and the process stops itself (SIGSTOP). So everything that it looked at before the call is old when it continues.
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const { FS_STOP_AT: order = '' } = process.env;
const { readFileSync, readlinkSync, unlinkSync } = fs;

function stopBefore(call, path) {
  let text;
  try {
    text = readFileSync(order, 'utf8');
  } catch {
    return; // The file is not there: no stop is wanted now.
  }
  const [asked, part] = text.split(' ');
  if (asked !== call || !path.includes(part)) return;
  unlinkSync(order);
  process.kill(process.pid, 'SIGSTOP');
}

for (const name of ['writeSync', 'writevSync']) {
  const real = fs[name];
  fs[name] = (fd, ...rest) => {
    stopBefore('write', readlinkSync(`/proc/self/fd/${fd}`));
    return real(fd, ...rest);
  };
}
for (const name of ['rename', 'rm']) {
  const real = fsp[name];
  fsp[name] = (path, ...rest) => {
    stopBefore(name, String(path));
    return real(path, ...rest);
  };
}
syncBuiltinESMExports();
