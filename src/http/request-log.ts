// http/request-log.ts: what is told of each request when it is over: a line of the log and a count.
//
// Promises: one line and one count of each that was begun, whether or not the client waited for its answer, but for event
// streams that their client leaves and what a rule held; put together at the end of the turn, in a row (core/tick-queue.ts).
// Must not know: what routes do.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { TickQueue } from '../core/tick-queue.ts';
import type { Metrics } from '../telemetry/telemetry.ts';
import { operationOf } from './exchange.ts';
import { isAnswered } from './connection/linger.ts';

export interface RequestLogOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export class RequestLog {
  readonly #options: RequestLogOptions;
  readonly #afterwards = new TickQueue('log');
  readonly #toldOf = new WeakSet<FastifyReply>();

  constructor(options: RequestLogOptions) {
    this.#options = options;
  }

  watch(app: FastifyInstance): void {
    app.addHook('onSend', (request, reply, _payload, done) => {
      // A connection that ends before the answer was sent brings no `onResponse`, or a late one.
      if (reply.raw.destroyed) this.#ended(request, reply);
      else reply.raw.once('close', () => this.#ended(request, reply));
      done();
    });
    app.addHook('onResponse', (request, reply, done) => {
      this.#ended(request, reply);
      done();
    });
  }

  /** What was put off is done. */
  flush(): void {
    this.#afterwards.flush();
  }

  #ended(request: FastifyRequest, reply: FastifyReply): void {
    if (this.#toldOf.has(reply)) return;
    this.#toldOf.add(reply);
    const { logger, metrics } = this.#options;
    const { elapsedTime } = reply;
    const isSent = isAnswered(reply.raw);
    this.#afterwards.later(() => {
      const facts = { operation: operationOf(request), status: reply.statusCode, code: request.errorCode };
      if (isSent) metrics.requestEnded({ ...facts, seconds: elapsedTime / 1000 });
      else if (!reply.hasHeader('x-mock-fault')) metrics.requestAborted(facts.operation);
      const namespace = request.caller?.namespace;
      const ms = Math.round(elapsedTime * 10) / 10;
      logger.info(
        { reqId: request.id, method: request.method, ...facts, namespace, ...request.facts, ms },
        isSent ? 'request' : 'the connection ended before the answer was sent',
      );
    });
  }
}
