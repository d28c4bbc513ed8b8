import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Agent } from 'undici';
import { type BackoffRange, backoff } from '../kube/backoff.ts';
import { sleep, systemClock } from '../kube/clock.ts';
import { StorageError } from './errors.ts';
import { type S3Credentials, signS3 } from './s3-signature.ts';

export interface S3Options {
  /** Address of the object store, for example `https://s3.example.com`. */
  endpoint: string;
  region: string;
  bucket: string;
  /** Beginning of all keys, without a slash at its end; may be empty. */
  prefix: string;
  /** Folder with the files `access-key-id`, `secret-access-key` and, if need be, `session-token`. */
  credentialsFolder: string;
  /** Certificates to trust, in PEM. Default: those of the system. */
  ca?: string;
}

export interface S3Answer {
  status: number;
  body: Buffer;
}

export interface S3Request {
  method: 'GET' | 'PUT' | 'DELETE';
  /** Key of the object below the prefix. Absent: the bucket. */
  key?: string;
  query?: Record<string, string>;
  body?: Buffer;
  signal?: AbortSignal | undefined;
}

/** Sends requests to one bucket, by path-style addresses. */
export interface S3Client {
  /** Resolves with a 2xx or 404 answer. @throws {StorageError} StoreUnavailable; StoreRefused */
  send(request: S3Request): Promise<S3Answer>;
  close(): Promise<void>;
}

const RETRIES = 4;
const BACKOFF: BackoffRange = { initialMs: 200, maxMs: 3_000 };
const TIMEOUT_MS = 60_000;

export function createS3Client(options: S3Options): S3Client {
  const agent = new Agent({
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connect: options.ca === undefined ? {} : { ca: options.ca },
  });

  async function once({
    method,
    key,
    query = {},
    body = Buffer.alloc(0),
    signal,
  }: S3Request): Promise<S3Answer> {
    const url = addressOf(options, key, query);
    const credentials = await readCredentials(options.credentialsFolder);
    const headers = signS3(credentials, { method, url, body, region: options.region, now: new Date() });
    const { statusCode, body: stream } = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers,
      ...(method === 'PUT' ? { body } : {}),
      signal: signal ?? null,
    });
    return { status: statusCode, body: Buffer.from(await stream.arrayBuffer()) };
  }

  return {
    // Each request says the whole truth, so that it may be sent again.
    async send(request) {
      for (let attempt = 0; ; attempt++) {
        const outcome = await once(request).catch((error: Error) => error);
        if (request.signal?.aborted) throw request.signal.reason;
        const failure = failureOf(options, request, outcome);
        if (!failure && !(outcome instanceof Error)) return outcome;
        if (failure?.reason === 'StoreRefused' || attempt === RETRIES) throw failure;
        await sleep(systemClock, backoff(attempt, BACKOFF, Math.random), request.signal);
      }
    },
    close: () => agent.close(),
  };
}

function failureOf(
  { endpoint, bucket }: S3Options,
  { method, key = '' }: S3Request,
  outcome: S3Answer | Error,
): StorageError | undefined {
  const what = `${method} ${endpoint}/${bucket}/${key}`;
  if (outcome instanceof Error) {
    return new StorageError('StoreUnavailable', `${what}: ${outcome.message}`, { cause: outcome });
  }
  const { status, body } = outcome;
  // Without a key a 404 means that the bucket is not there.
  if (status < 300 || (status === 404 && key !== '')) return undefined;
  const reason = status === 429 || status >= 500 ? 'StoreUnavailable' : 'StoreRefused';
  const code = /<Code>([^<]*)/.exec(body.toString())?.[1] ?? 'no code';
  const message = /<Message>([^<]*)/.exec(body.toString())?.[1] ?? '';
  return new StorageError(reason, `${what}: ${status} ${code}: ${message}`.slice(0, 500));
}

function addressOf({ endpoint, bucket, prefix }: S3Options, key: string | undefined, query: object): URL {
  const below =
    key === undefined ? [] : [...prefix.split('/').filter((part) => part !== ''), ...key.split('/')];
  const url = new URL(endpoint);
  const base = url.pathname.replace(/\/$/, '');
  url.pathname = [base, bucket, ...below.map(encodeURIComponent)].join('/');
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  // Signed and sent in the same form: a space as %20.
  url.search = url.search.replaceAll('+', '%20');
  return url;
}

/** Read for each request: the kubelet replaces the files when the Secret changes. */
async function readCredentials(folder: string): Promise<S3Credentials> {
  const read = async (name: string) => (await readFile(path.join(folder, name), 'utf8')).trim();
  try {
    const [accessKeyId, secretAccessKey] = await Promise.all([
      read('access-key-id'),
      read('secret-access-key'),
    ]);
    const sessionToken = await read('session-token').catch(() => undefined);
    return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
  } catch (error) {
    throw new StorageError(
      'StoreUnavailable',
      `the credentials of the object store cannot be read: ${String(error)}`,
      { cause: error },
    );
  }
}
