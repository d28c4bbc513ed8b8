import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { DIGEST_HEADER, GRANT_HEADER } from '../api/runner.ts';
import { RunnerError, textOf } from './failure.ts';

/** Where the runner API is, and what shows it who asks. */
export interface ApiAccess {
  /** Base address, https. */
  url: string;
  /** Its CA, in PEM. */
  ca: string;
  grant: string;
  /** The file with the token; read for each request, because the kubelet replaces it. */
  tokenFile: string;
}

/** A question to the API. All of them may be asked again: the operator answers the same. */
export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'LOCK' | 'UNLOCK';
  /** With the query. */
  path: string;
  body?: Buffer;
  headers?: Readonly<Record<string, string>>;
  /** How long it is tried again, in milliseconds. */
  patience: number;
  /** Gives up when the step is stopped. Left out where the answer matters even then. */
  stop?: AbortSignal;
}

export interface ApiAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** The runner API refused a request: its reason and message. */
export class ApiRefusal extends RunnerError {
  readonly status: number;

  constructor(status: number, reason: string, message: string) {
    super(reason, message);
    this.status = status;
  }
}

export const PATIENCE_MS = 5 * 60_000;
/** For states and locks: an apply that has begun is worth waiting longer for. */
export const STATE_PATIENCE_MS = 10 * 60_000;
const ANSWER_LIMIT_MS = 60_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

const refusal = z.object({ reason: z.string(), message: z.string() });
const commitAnswer = z.object({ commit: z.string() });

/** The operator's runner API. */
export class RunnerApi {
  private readonly access: ApiAccess;
  private readonly agent: Agent;

  constructor(access: ApiAccess) {
    this.access = access;
    this.agent = new Agent({ ca: access.ca, keepAlive: true });
  }

  /** The commit that an earlier step of the run has found, if any. */
  async pinnedCommit(stop: AbortSignal): Promise<string | undefined> {
    const answer = await this.ask({ method: 'GET', path: '/v1/commit', patience: PATIENCE_MS, stop });
    if (answer.status === 404) return undefined;
    return commitAnswer.parse(json(accepted(answer))).commit;
  }

  /** Tells the commit for the whole run; the first that was told counts, and is given back. */
  async pinCommit(commit: string, stop: AbortSignal): Promise<string> {
    const body = Buffer.from(JSON.stringify({ commit }));
    const headers = { 'content-type': 'application/json' };
    const request = {
      method: 'POST',
      path: '/v1/commit',
      body,
      headers,
      patience: PATIENCE_MS,
      stop,
    } as const;
    return commitAnswer.parse(json(accepted(await this.ask(request)))).commit;
  }

  async putBundle(bundle: Buffer, digest: string, stop: AbortSignal): Promise<void> {
    const headers = { [DIGEST_HEADER]: digest, 'content-type': 'application/octet-stream' };
    accepted(
      await this.ask({
        method: 'PUT',
        path: '/v1/bundle',
        body: bundle,
        headers,
        patience: PATIENCE_MS,
        stop,
      }),
    );
  }

  async getBundle(stop: AbortSignal): Promise<Buffer> {
    return accepted(await this.ask({ method: 'GET', path: '/v1/bundle', patience: PATIENCE_MS, stop })).body;
  }

  /** The managed state, if there is one yet. */
  async getState(stop: AbortSignal): Promise<Buffer | undefined> {
    const answer = await this.ask({ method: 'GET', path: '/v1/state', patience: STATE_PATIENCE_MS, stop });
    return accepted(answer).status === 204 ? undefined : answer.body;
  }

  /** Hands over a state that could not be written. */
  async putErroredState(state: Buffer): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    accepted(
      await this.ask({
        method: 'PUT',
        path: '/v1/errored-state',
        body: state,
        headers,
        patience: STATE_PATIENCE_MS,
      }),
    );
  }

  /**
   * Asks until there is an answer that lasts: what may pass (429, 5xx, no connection) is tried again.
   * @throws RunnerError `ApiUnreachable` when patience is over, `Interrupted` when the step was stopped
   */
  async ask(question: ApiRequest): Promise<ApiAnswer> {
    const deadline = performance.now() + question.patience;
    for (let tries = 0; ; tries += 1) {
      const answer = await this.askOnce(question).catch((error: unknown) => textOf(error));
      if (typeof answer !== 'string' && !mayPass(answer)) return answer;
      const pause = pauseBefore(tries, answer);
      if (performance.now() + pause > deadline) throw unreachable(question, answer);
      await this.pause(pause, question);
    }
  }

  close(): void {
    this.agent.destroy();
  }

  private async pause(milliseconds: number, { stop }: ApiRequest): Promise<void> {
    await delay(milliseconds, undefined, stop === undefined ? {} : { signal: stop }).catch(() => {
      throw new RunnerError('Interrupted', 'The step was stopped while it waited for the operator.');
    });
  }

  private async askOnce({ method, path, body, headers }: ApiRequest): Promise<ApiAnswer> {
    const { url, grant, tokenFile } = this.access;
    const token = (await readFile(tokenFile, 'utf8')).trim();
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>();
    const options = {
      agent: this.agent,
      method,
      headers: {
        ...headers,
        authorization: `Bearer ${token}`,
        [GRANT_HEADER]: grant,
        'content-length': body?.length ?? 0,
      },
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    };
    const sent = request(new URL(path, url), options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (!response.complete) return reject(new Error('the answer broke off'));
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    sent.on('error', reject);
    sent.end(body);
    return promise;
  }
}

function mayPass({ status }: ApiAnswer): boolean {
  return status === 429 || status >= 500;
}

/** Doubles from try to try, at random within its upper half, and is never shorter than the operator asks for. */
function pauseBefore(tries: number, answer: ApiAnswer | string): number {
  const longest = Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS);
  const asked = typeof answer === 'string' ? 0 : Number(answer.headers['retry-after'] ?? 0) * 1000;
  return Math.max(longest * (0.5 + Math.random() / 2), Number.isFinite(asked) ? asked : 0);
}

function unreachable({ method, path, patience }: ApiRequest, answer: ApiAnswer | string): RunnerError {
  const why = typeof answer === 'string' ? answer : describe(answer);
  const minutes = Math.round(patience / 60_000);
  return new RunnerError(
    'ApiUnreachable',
    `The operator did not answer ${method} ${path.split('?')[0]} within ${minutes} minutes: ${why}`,
  );
}

/** @throws ApiRefusal what the operator said, unless it agreed */
function accepted(answer: ApiAnswer): ApiAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  const said = refusal.safeParse(json(answer));
  if (said.success) throw new ApiRefusal(answer.status, said.data.reason, said.data.message);
  throw new ApiRefusal(answer.status, 'ApiRefused', `The operator refused a request: ${describe(answer)}`);
}

function json({ body }: ApiAnswer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function describe({ status, body }: ApiAnswer): string {
  return `HTTP ${status} ${body.toString('utf8').slice(0, 200)}`.trim();
}
