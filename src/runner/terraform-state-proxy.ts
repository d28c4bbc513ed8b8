import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';
import { type ApiAnswer, type RunnerApi, STATE_PATIENCE_MS } from './api.ts';
import { textOf } from './failure.ts';
import type { Log } from './log.ts';
import type { Environment } from './process.ts';
import type { StatePosition } from './terraform-bundle.ts';
import type { LockHolder } from './terraform-failure.ts';

const USER = 'runner';
const METHODS = ['GET', 'POST', 'LOCK', 'UNLOCK'] as const;
const lockInfo = z.object({
  ID: z.string(),
  Who: z.string().optional(),
  Operation: z.string().optional(),
  Created: z.string().optional(),
  Info: z.string().optional(),
});
const stateHead = z.object({ lineage: z.string(), serial: z.int() });
const refusal = z.object({ reason: z.string(), message: z.string() });

/** What the operator said when it did not take a state or give a lock back. */
export type StateRefusal = z.infer<typeof refusal>;

interface ProxyOptions {
  log: Log;
  /** Somebody asked the step to stop. */
  stop: AbortSignal;
}

/**
 * A server of Terraform's `http` backend on this pod's loopback, which passes all on to the operator.
 *
 * It is there so that Terraform and its providers have neither the token nor the grant, and survive a restart of the
 * operator in the middle of an apply: here it is waited for. Others in the pod do not know the password.
 */
export class StateProxy implements AsyncDisposable {
  /** The state that Terraform read last. */
  lastRead: StatePosition = {};
  lastRefusal: StateRefusal | undefined;
  /** Who had the lock when Terraform asked for it last. */
  lockHolder: LockHolder | undefined;
  /** Terraform has taken the lock and not given it back. */
  lockHeld: string | undefined;
  private readonly password = randomBytes(24).toString('base64url');
  private readonly api: RunnerApi;
  private readonly log: Log;
  private readonly stop: AbortSignal;
  private readonly server = createServer((request, response) => void this.handle(request, response));

  private constructor(api: RunnerApi, { log, stop }: ProxyOptions) {
    this.api = api;
    this.log = log;
    this.stop = stop;
  }

  static async start(api: RunnerApi, options: ProxyOptions): Promise<StateProxy> {
    const proxy = new StateProxy(api, options);
    // A write of the state may wait for the operator longer than a server waits for anything by default.
    proxy.server.requestTimeout = 0;
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** Settings of the backend. As variables, they come neither into plans nor on a command line. */
  get environment(): Environment {
    const address = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/state`;
    return {
      TF_HTTP_ADDRESS: address,
      TF_HTTP_LOCK_ADDRESS: address,
      TF_HTTP_UNLOCK_ADDRESS: address,
      TF_HTTP_USERNAME: USER,
      TF_HTTP_PASSWORD: this.password,
      // Here it is tried again for longer.
      TF_HTTP_RETRY_MAX: '0',
    };
  }

  get secret(): string {
    return this.password;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.knows(request)) return void response.writeHead(401).end();
    try {
      const { status, headers, body } = await this.passOn(request);
      const type = headers['content-type'] ?? 'application/json';
      response.writeHead(status, { 'content-type': type }).end(body);
    } catch (error) {
      this.log.say(`the state: ${textOf(error)}`);
      response.writeHead(503).end();
    }
  }

  private knows({ headers }: IncomingMessage): boolean {
    const expected = Buffer.from(`Basic ${Buffer.from(`${USER}:${this.password}`).toString('base64')}`);
    const given = Buffer.from(headers.authorization ?? '');
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  private async passOn(request: IncomingMessage): Promise<ApiAnswer> {
    const method = METHODS.find((method) => method === request.method);
    if (method === undefined) return { status: 405, headers: {}, body: Buffer.alloc(0) };
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const query = new URL(request.url ?? '/', 'http://localhost').search;
    const md5 = request.headers['content-md5'];
    const answer = await this.api.ask({
      method,
      path: `/v1/state${query}`,
      body,
      headers: {
        'content-type': 'application/json',
        ...(md5 === undefined ? {} : { 'content-md5': String(md5) }),
      },
      patience: STATE_PATIENCE_MS,
      // The lock comes before everything. After it, the end of the step ends nothing: a state must be kept.
      ...(method === 'LOCK' ? { stop: this.stop } : {}),
    });
    return this.noticed(method, body, answer);
  }

  private noticed(method: (typeof METHODS)[number], body: Buffer, answer: ApiAnswer): ApiAnswer {
    const isFine = answer.status < 300;
    switch (method) {
      case 'GET':
        if (isFine) this.lastRead = positionOf(answer.body);
        break;
      case 'LOCK':
        return this.noticedLock(body, answer);
      case 'UNLOCK':
        if (isFine) this.lockHeld = undefined;
        break;
      case 'POST':
        break;
    }
    if (!isFine) this.refused(answer);
    return answer;
  }

  /** When an answer was lost, the lock that is asked for again is held already: by us. */
  private noticedLock(body: Buffer, answer: ApiAnswer): ApiAnswer {
    const wanted = infoOf(body)?.ID;
    const holder = answer.status === 423 ? infoOf(answer.body) : undefined;
    this.lockHolder = holder;
    if (answer.status >= 300 && (holder === undefined || holder.ID !== wanted)) return answer;
    this.lockHeld = wanted;
    return { ...answer, status: 200 };
  }

  /** Terraform shows the status of such an answer and not its words. */
  private refused({ status, body }: ApiAnswer): void {
    const said = refusal.safeParse(parse(body));
    this.lastRefusal = said.success
      ? { reason: said.data.reason, message: said.data.message }
      : { reason: 'StateRefused', message: `The operator refused the state with HTTP ${status}.` };
    this.log.say(`the state: ${this.lastRefusal.reason}: ${this.lastRefusal.message}`);
  }
}

/** Which version of which state this is. */
export function positionOf(state: Buffer | undefined): StatePosition {
  const head = stateHead.safeParse(state === undefined ? undefined : parse(state));
  return head.success ? { lineage: head.data.lineage, serial: head.data.serial } : {};
}

function infoOf(body: Buffer): LockHolder | undefined {
  const info = lockInfo.safeParse(parse(body));
  return info.success ? info.data : undefined;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
