import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { DIGEST_HEADER, GRANT_HEADER } from '../api/runner.ts';
import { makeAuthority } from '../steps/fake-authority.ts';

/** A request that came in. */
export interface FakeRequest {
  method: string;
  path: string;
  authorization: string;
  body: Buffer;
}

export interface FakeAnswer {
  status: number;
  body?: Buffer | string | object;
  headers?: Record<string, string>;
}

/** Answers instead of the fake, `drop` breaks the connection, `undefined` leaves it to the fake. */
export type Trouble = (request: FakeRequest) => FakeAnswer | 'drop' | undefined;

interface StateBody {
  serial: number;
  lineage: string;
}

/**
 * A fake of the operator's runner API that speaks its protocol over TLS, for one pod: it keeps a pinned commit, a bundle
 * and a state with its lock, and knows neither tokens nor other pods.
 */
export class FakeRunnerApi implements AsyncDisposable {
  readonly requests: FakeRequest[] = [];
  trouble: Trouble = () => undefined;
  commit: string | undefined;
  bundle: Buffer | undefined;
  /** All versions, the current one last. */
  states: Buffer[] = [];
  lock: { ID: string } | undefined;
  erroredState: Buffer | undefined;
  private readonly authority = makeAuthority('IP:127.0.0.1');
  private readonly server = createServer({ key: this.authority.key, cert: this.authority.cert });

  static async start(): Promise<FakeRunnerApi> {
    const fake = new FakeRunnerApi();
    fake.server.on('request', (request, response) => void fake.handle(request, response));
    await new Promise<void>((resolve) => fake.server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get ca(): string {
    return this.authority.ca;
  }

  get state(): StateBody | undefined {
    const current = this.states.at(-1);
    return current === undefined ? undefined : (JSON.parse(current.toString()) as StateBody);
  }

  /** The requests as `GET /v1/state`. */
  get asked(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path.split('?')[0]}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const { method = '', url: path = '', headers } = message;
    const request = { method, path, authorization: headers.authorization ?? '', body: Buffer.concat(chunks) };
    this.requests.push(request);
    const trouble = this.trouble(request);
    if (trouble === 'drop') return void message.socket.destroy();
    const digest = String(headers[DIGEST_HEADER] ?? '');
    const authenticated = headers[GRANT_HEADER] !== undefined && /^Bearer \S/.test(request.authorization);
    const answer = trouble ?? (authenticated ? this.answer(request, digest) : refuse(401, 'Unauthorized'));
    const body = answer.body ?? '';
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
    response.writeHead(answer.status, answer.headers ?? {});
    response.end(isRaw ? body : JSON.stringify(body));
  }

  private answer(request: FakeRequest, digest: string): FakeAnswer {
    const { method, path, body } = request;
    const address = new URL(path, this.url);
    switch (`${method} ${address.pathname}`) {
      case 'GET /v1/commit':
        return this.commit === undefined
          ? refuse(404, 'NotFound')
          : { status: 200, body: { commit: this.commit } };
      case 'POST /v1/commit':
        this.commit ??= (JSON.parse(body.toString()) as { commit: string }).commit;
        return { status: 200, body: { commit: this.commit } };
      case 'PUT /v1/bundle':
        if (digest !== digestOf(body)) return refuse(422, 'DigestMismatch');
        this.bundle = body;
        return { status: 201, body: { digest } };
      case 'GET /v1/bundle':
        if (this.bundle === undefined) return refuse(404, 'PlanMissing');
        return { status: 200, body: this.bundle, headers: { [DIGEST_HEADER]: digestOf(this.bundle) } };
      case 'PUT /v1/errored-state':
        this.erroredState = body;
        return { status: 201 };
      default:
        return this.answerState(method, address, body);
    }
  }

  private answerState(method: string, { pathname, searchParams }: URL, body: Buffer): FakeAnswer {
    if (pathname !== '/v1/state') return refuse(404, 'NotFound');
    switch (method) {
      case 'GET':
        return this.states.length === 0 ? { status: 204 } : { status: 200, body: this.states.at(-1) ?? '' };
      case 'POST':
        return this.writeState(searchParams.get('ID') ?? '', body);
      case 'LOCK': {
        const wanted = JSON.parse(body.toString()) as { ID: string };
        if (this.lock !== undefined) return { status: 423, body: this.lock };
        this.lock = wanted;
        return { status: 200 };
      }
      case 'UNLOCK': {
        const { ID } = JSON.parse(body.toString()) as { ID: string };
        if (this.lock !== undefined && this.lock.ID !== ID) return refuse(409, 'LockLost');
        this.lock = undefined;
        return { status: 200 };
      }
      default:
        return refuse(405, 'MethodNotAllowed');
    }
  }

  private writeState(lockId: string, body: Buffer): FakeAnswer {
    if (this.lock?.ID !== lockId) return refuse(409, 'LockLost');
    const { state } = this;
    const { serial, lineage } = JSON.parse(body.toString()) as StateBody;
    if (state !== undefined && lineage !== state.lineage) return refuse(409, 'LineageConflict');
    if (state !== undefined && serial <= state.serial && !this.states.at(-1)?.equals(body)) {
      return refuse(409, 'SerialConflict');
    }
    this.states.push(body);
    return { status: 200 };
  }
}

export const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

function refuse(status: number, reason: string): FakeAnswer {
  return { status, body: { reason, message: `The fake says ${reason}.` } };
}
