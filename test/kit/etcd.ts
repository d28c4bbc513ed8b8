/**
 * Reads the etcd of a full cluster, past the API server. As a program, in the network of the cluster's machine,
 * `node etcd.ts ADDRESS` prints all that is there, and then each value that is written, a line each: the key, a space,
 * the value, both in Base64, and an empty line between the two parts.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type Cluster, reach } from '../cluster/cluster.ts';

/** A value that a key has or had. */
export interface EtcdEntry {
  key: string;
  value: Buffer;
}

/** All that was in etcd when the recording began, and all that has been written since, also what was replaced. */
export interface EtcdRecording extends AsyncDisposable {
  readonly entries: readonly EtcdEntry[];
  /** Waits until a value of this key has come: then everything that was written before is there, too. */
  reached(key: string): Promise<void>;
}

const LIMIT_MS = 30_000;
const POLL_MS = 50;

/** Begins to record. As root. */
export async function recordEtcd(cluster: Cluster): Promise<EtcdRecording> {
  const { entrance, addresses } = await reach(cluster);
  const url = `http://127.0.0.1:${addresses.ports.etcd}`;
  const [program, ...args] = [...entrance, process.execPath, import.meta.filename, url];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const entries: EtcdEntry[] = [];
  const begun = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === '') return begun.resolve();
    const [key = '', value = ''] = line.split(' ').map((part) => Buffer.from(part, 'base64'));
    entries.push({ key: key.toString(), value: Buffer.from(value) });
  });
  const ended = exited.then(() => Promise.reject(new Error('the recording of etcd ended by itself')));
  ended.catch(() => undefined);
  await Promise.race([begun.promise, ended]);

  async function reached(key: string): Promise<void> {
    const deadline = performance.now() + LIMIT_MS;
    while (!entries.some((entry) => entry.key === key)) {
      if (performance.now() > deadline) throw new Error(`${key} was not written to etcd`);
      await Promise.race([delay(POLL_MS), ended]);
    }
  }

  return {
    entries,
    reached,
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
    },
  };
}

// https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/: bytes are in Base64, and whole numbers are texts.

interface KeyValue {
  key: string;
  value?: string;
}

interface RangeAnswer {
  header: { revision: string };
  kvs?: KeyValue[];
  more?: boolean;
}

interface WatchAnswer {
  result?: { events?: { type?: 'DELETE'; kv: KeyValue }[]; canceled?: boolean };
  error?: unknown;
}

const PAGE = 500;
const FIRST = Buffer.of(0).toString('base64');

const show = ({ key, value = '' }: KeyValue) => process.stdout.write(`${key} ${value}\n`);

async function printAll(url: string): Promise<string> {
  let revision = '0';
  for (let from = FIRST; ; ) {
    const body = JSON.stringify({ key: from, range_end: FIRST, limit: String(PAGE), revision });
    const response = await fetch(`${url}/v3/kv/range`, { method: 'POST', body });
    const { header, kvs = [], more = false } = (await response.json()) as RangeAnswer;
    // All pages are those of one moment.
    if (revision === '0') ({ revision } = header);
    kvs.forEach(show);
    const last = kvs.at(-1);
    if (!more || last === undefined) return revision;
    from = Buffer.concat([Buffer.from(last.key, 'base64'), Buffer.of(0)]).toString('base64');
  }
}

async function printWrites(url: string, after: string): Promise<never> {
  const create_request = { key: FIRST, range_end: FIRST, start_revision: String(BigInt(after) + 1n) };
  const response = await fetch(`${url}/v3/watch`, {
    method: 'POST',
    body: JSON.stringify({ create_request }),
  });
  const lines = createInterface({ input: Readable.from(response.body ?? []) });
  for await (const line of lines) {
    const { result, error } = JSON.parse(line) as WatchAnswer;
    if (error !== undefined || result?.canceled === true) throw new Error(line);
    for (const { type, kv } of result?.events ?? []) if (type !== 'DELETE') show(kv);
  }
  throw new Error('etcd ended the watch');
}

if (import.meta.main) {
  const [url = ''] = process.argv.slice(2);
  const revision = await printAll(url);
  process.stdout.write('\n');
  await printWrites(url, revision);
}
