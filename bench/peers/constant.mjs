// bench/peers/constant.mjs: a Fastify route that answers a status query with a constant, as a person would write one:
// with a schema, so that the answer is serialised as fast as Fastify can. No log, no storage, nothing looked up.
import Fastify from 'fastify';
import { announce } from './announce.mjs';

const STATUS = { success: true, data: { exists: true, currentSize: 10_240, fileId: 'status' } };
const schema = {
  querystring: { type: 'object', required: ['fileId'], properties: { fileId: { type: 'string' } } },
  response: {
    200: {
      type: 'object',
      properties: {
        success: { type: 'boolean' },
        data: {
          type: 'object',
          properties: {
            exists: { type: 'boolean' },
            currentSize: { type: 'integer' },
            fileId: { type: 'string' },
          },
        },
      },
    },
  },
};

const app = Fastify({ logger: false });
app.get('/media/chunks', { schema }, async () => STATUS);
await app.listen({ port: 0, host: '127.0.0.1' });
announce(app.server);
