// bench/peers/announce.mjs: what every peer does around its one job.
//
// Promises: listens on a free port of the loopback address, prints one line of JSON once it can be asked, and ends with 0
// on SIGTERM, at once. The folder to store in is the first argument; it is empty, and on the filesystem of every other's.

export const folder = process.argv[2] ?? '.';

/** @param {import('node:net').Server} server that listens or is about to */
export function announce(server) {
  const print = () => {
    const { port } = server.address();
    process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: process.pid })}\n`);
  };
  if (server.listening) print();
  else server.listen(0, '127.0.0.1', print);
  process.once('SIGTERM', () => process.exit(0));
}

/** The answer that our server gives to a stored chunk, so that every form server answers the same bytes. */
export function stored(chunkIndex) {
  return { success: true, data: { completed: false, chunkIndex }, message: 'Chunk received' };
}
