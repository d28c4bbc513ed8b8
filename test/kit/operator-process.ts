import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from '../cluster/cluster.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** Time that the operator may take to say that it is ready, and to stop. */
const LIMIT_MS = 30_000;

/** Linux counts CPU time in hundredths of a second. */
const TICKS_PER_SECOND = 100;

/** The operator as a process of its own, from source or from its bundle. */
export interface OperatorProcess {
  readonly pid: number;
  /** Resolves when it leads and works. */
  readonly ready: Promise<void>;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** What it has logged so far. */
  log(): string;
  /** CPU time used so far, in seconds. */
  cpuSeconds(): number;
  /** Most memory held so far, in bytes. */
  peakRss(): number;
  /** Its own metrics, in Prometheus' text format. */
  metrics(): Promise<string>;
  /** Whether it says that requests may be sent to it. */
  isReady(): Promise<boolean>;
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Bundles the operator as its image does, and gives the path of the bundle. */
export async function bundle(): Promise<string> {
  await promisify(execFile)(process.execPath, ['deploy/bundle.ts'], { cwd: root, timeout: LIMIT_MS });
  return path.join(root, 'dist/main.js');
}

/**
 * @param program path of the operator's main file, for example the bundle
 * @param nodeFlags flags of Node beside those of the image
 */
export function startOperator(
  cluster: Pick<Cluster, 'kubeconfig'>,
  flags: readonly string[] = [],
  program = path.join(root, 'src/main.ts'),
  nodeFlags: readonly string[] = [],
): OperatorProcess {
  const node = ['--optimize-for-size', '--enable-source-maps', ...nodeFlags];
  const child = spawn(process.execPath, [...node, program, '--http-port=0', ...flags], {
    env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid ?? 0;
  let log = '';
  const get = (route: string) => {
    const port = /"port":(\d+)/.exec(log)?.[1];
    return fetch(`http://127.0.0.1:${port}${route}`);
  };
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the operator was not ready in time:\n${log}`)),
      LIMIT_MS,
    );
    const read = (chunk: Buffer) => {
      log += chunk.toString();
      if (!log.includes('"msg":"leading"')) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`the operator ended with ${code ?? signal}:\n${log}`));
    });
  });
  // Who kills it on purpose does not wait for it to be ready.
  ready.catch(() => undefined);
  // Only then is its log whole.
  const exited = once(child, 'close').then(([code, signal]): number | NodeJS.Signals => code ?? signal);
  return {
    pid,
    ready,
    exited,
    log: () => log,
    cpuSeconds: () => cpuSeconds(pid),
    peakRss: () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024,
    metrics: async () => (await get('/metrics')).text(),
    isReady: async () => (await get('/readyz')).ok,
    stop: (signal = 'SIGTERM') => stop(child, signal),
  };
}

/** CPU time that a process has used so far, in seconds. */
export function cpuSeconds(pid: number): number {
  // The fields are counted from the end of the name, which stands in parentheses and may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit', { signal: AbortSignal.timeout(LIMIT_MS) });
  child.kill(signal);
  await exited;
}
