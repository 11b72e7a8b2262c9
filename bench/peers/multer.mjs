// bench/peers/multer.mjs <folder>: express with multer's own disk storage: a file for each chunk, named by the fields
// before it. Streaming, as multer does it.
//
// Fairness: no limits, no other middleware, nothing checked, logged or synced.
import { createServer } from 'node:http';
import express from 'express';
import multer from 'multer';
import { announce, folder, stored } from './announce.mjs';

const storage = multer.diskStorage({
  destination: folder,
  filename: (request, _file, done) => done(null, `${request.body.fileId}-${request.body.chunkIndex}`),
});

const app = express();
app.disable('x-powered-by');
app.set('etag', false);
app.post('/media/chunks', multer({ storage }).single('file'), (request, response) => {
  response.json(stored(Number(request.body.chunkIndex)));
});
announce(createServer(app));
