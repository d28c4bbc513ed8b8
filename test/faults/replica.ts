import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '../../src/kube/config.ts';
import { type OperatorProcess, startOperator } from '../kit/operator-process.ts';
import type { Faults } from './faults.ts';
import { lastWordsOf } from './last-words.ts';
import { type FaultProxy, type ProxyOptions, startFaultProxy } from './proxy.ts';

export interface ReplicaOptions {
  /** Also its identity in the lease: one that comes back under its name leads again at once. */
  name: string;
  /** The API server, and who the operator is to it. */
  target: Connection;
  /** Where its files go: settings, clock and logs. */
  folder: string;
  /** Flags beside those that say who it is. */
  flags: readonly string[];
  /** The operator's main file. */
  program: string;
  faults: Faults;
  onForgotten: ProxyOptions['onForgotten'];
}

/** An end of the operator's process that nobody asked for, or with an error although it was asked politely. */
export interface OwnEnd {
  replica: string;
  code: number | NodeJS.Signals;
  /** The error that it ended of. */
  lastWords: string;
}

/** One operator behind a proxy of its own, started again whenever it ends, as a Deployment would. */
export interface Replica {
  readonly name: string;
  readonly faults: Faults;
  readonly proxy: FaultProxy;
  /** The process that runs now. */
  readonly operator: OperatorProcess | undefined;
  /** How often it was started. */
  readonly starts: number;
  readonly ownEnds: readonly OwnEnd[];
  /** Starts it, and keeps it running. */
  run(): void;
  /** Resolves when it has read the cluster, however often it has to be started for that. */
  watches(): Promise<void>;
  /** Resolves when it leads, in the same way. */
  leads(): Promise<void>;
  readonly isLeading: boolean;
  /** Where its webhooks are, once it can answer. */
  readonly admissionPort: number | undefined;
  /** Sends the signal in this tick, and waits for the end; it is started again. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Stops the process where it is, until it is thawed or killed. */
  freeze(): void;
  thaw(): void;
  /** Ends it, and does not start it again before the next `run`. */
  retire(signal?: NodeJS.Signals): Promise<void>;
  /** Does not start it again once it ends by itself. Resolves when it has. */
  expire(): Promise<void>;
  /** Shifts its time of day. */
  setClock(offsetMs: number): void;
  close(): Promise<void>;
}

/** Client names in the audit log. */
export const clientOf = (replica: string) => `signalbox-${replica}`;

const LAST_LINES = 2000;
const POLL_MS = 20;
/** Longer than a lease that has to run out, with all that may go wrong on the way. */
const STARTS_WITHIN_MS = 90_000;

export async function createReplica(options: ReplicaOptions): Promise<Replica> {
  const { name, target, folder, flags, program, faults, onForgotten } = options;
  const proxy = await startFaultProxy({ target, client: clientOf(name), faults, onForgotten });
  const kubeconfig = path.join(folder, `${name}.kubeconfig`);
  const clock = path.join(folder, `${name}.clock`);
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(proxy.url)));
  writeFileSync(clock, '0');
  const preload = new URL('shifted-clock.ts', import.meta.url);
  preload.searchParams.set('file', clock);

  const ownEnds: OwnEnd[] = [];
  let starts = 0;
  let wanted = false;
  const asked = new WeakMap<OperatorProcess, NodeJS.Signals>();
  let operator: OperatorProcess | undefined;
  let running: Promise<void> = Promise.resolve();

  async function supervise(): Promise<void> {
    while (wanted) {
      starts += 1;
      const current = startOperator(
        { kubeconfig },
        [`--identity=${name}`, '--http-allow=127.0.0.1', ...flags],
        program,
        [`--import=${preload.href}`],
      );
      operator = current;
      const code = await current.exited;
      operator = undefined;
      await writeFile(path.join(folder, `${name}-${starts}.log`), current.log());
      if (!isAnswer(code, asked.get(current)))
        ownEnds.push({ replica: name, code, lastWords: lastWordsOf(current.log()) });
    }
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    if (!operator) return;
    asked.set(operator, signal);
    await operator.stop(signal);
  }

  const hasLogged = (message: string) => operator?.log().includes(`"msg":"${message}"`) ?? false;

  async function logged(message: string): Promise<void> {
    const limit = Date.now() + STARTS_WITHIN_MS;
    while (!hasLogged(message)) {
      if (Date.now() > limit) {
        throw new Error(`replica ${name} is not ${message}:\n${operator?.log().slice(-LAST_LINES)}`);
      }
      await sleep(POLL_MS);
    }
  }

  function signal(name: NodeJS.Signals): void {
    if (operator) process.kill(operator.pid, name);
  }

  const replica: Replica = {
    name,
    faults,
    proxy,
    ownEnds,
    get operator() {
      return operator;
    },
    get starts() {
      return starts;
    },
    run() {
      wanted = true;
      running = supervise();
    },
    watches: () => logged('ready'),
    leads: () => logged('leading'),
    get isLeading() {
      return hasLogged('leading');
    },
    get admissionPort() {
      if (!operator || !hasLogged('ready')) return undefined;
      return Number(/"admissionPort":(\d+)/.exec(operator.log())?.[1]);
    },
    kill,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async retire(signal = 'SIGTERM') {
      wanted = false;
      await kill(signal);
      await running;
    },
    async expire() {
      wanted = false;
      await running;
    },
    setClock: (offsetMs) => writeFileSync(clock, String(offsetMs)),
    async close() {
      await replica.retire('SIGKILL');
      await proxy[Symbol.asyncDispose]();
    },
  };
  return replica;
}

/** Whether a process ended as it should after a signal; one that is polite may come before anybody listens for it. */
function isAnswer(code: number | NodeJS.Signals, signal: NodeJS.Signals | undefined): boolean {
  return signal === 'SIGTERM' ? code === 0 || code === signal : signal !== undefined;
}

/** No credentials: the proxy has them. */
export function kubeconfigOf(server: string): object {
  const name = 'faults';
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
}
