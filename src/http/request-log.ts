// http/request-log.ts: writes one log line and counts one request when a request is over.
//
// Promises: each begun request is logged and counted once, whether or not its client waited for the answer. Exceptions: an event
// stream that its client leaves, and a request that a rule held. The lines of a turn are written together at its end
// (core/tick-queue.ts).
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
      // When a connection ends before the answer was sent, `onResponse` comes late or never.
      if (reply.raw.destroyed) this.#ended(request, reply);
      else reply.raw.once('close', () => this.#ended(request, reply));
      done();
    });
    app.addHook('onResponse', (request, reply, done) => {
      this.#ended(request, reply);
      done();
    });
  }

  /** Writes the lines that wait for the end of the turn. */
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
