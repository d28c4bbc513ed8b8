import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { waitFor } from './wait.ts';

/** A process, told apart from a later one with the same id by when it started (clock ticks since boot). */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** The process that has this id now, unless it has ended. */
export function identify(pid: number): ProcessIdentity | undefined {
  // The name in field 2 may hold spaces and brackets, so fields are counted from behind the last bracket.
  const [state, ...fields] = readProc(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  const startTime = fields[18];
  if (!startTime || state === 'Z' || state === 'X') return undefined;
  return { pid, startTime };
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

/**
 * Starts a process that outlives this one, in a session of its own.
 * @param log file that its output is appended to.
 */
export async function startDetached(argv: readonly string[], log: string): Promise<ProcessIdentity> {
  const [program = '', ...args] = argv;
  const output = openSync(log, 'a');
  try {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', output, output], cwd: '/' });
    const { promise: started, resolve, reject } = Promise.withResolvers<void>();
    child.once('spawn', resolve);
    child.once('error', reject);
    await started;
    child.unref();
    return identify(child.pid ?? 0) ?? { pid: child.pid ?? 0, startTime: 'ended at once' };
  } finally {
    closeSync(output);
  }
}

/**
 * The first child of a process that forks before it runs a command, as `unshare` and `nsenter` do.
 * When the parent ends before that, it is the parent itself, which has ended.
 */
export async function firstChild(parent: ProcessIdentity): Promise<ProcessIdentity> {
  return waitFor(`process ${parent.pid} to start its command`, 5_000, () => {
    const child = Number.parseInt(readProc(`/proc/${parent.pid}/task/${parent.pid}/children`), 10);
    if (Number.isNaN(child)) return isAlive(parent) ? undefined : parent;
    return identify(child);
  });
}

/**
 * Signals a process and waits for its end; after `limit` milliseconds it is killed.
 * A process that has ended, or whose id now belongs to another, is left alone.
 */
export async function end(process: ProcessIdentity, signal: NodeJS.Signals, limit = 10_000): Promise<void> {
  if (!sendSignal(process, signal)) return;
  const gone = () => (isAlive(process) ? undefined : true);
  try {
    await waitFor(`process ${process.pid} to end`, limit, gone);
  } catch {
    sendSignal(process, 'SIGKILL');
    await waitFor(`process ${process.pid} to end after SIGKILL`, limit, gone);
  }
}

function sendSignal(target: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    return process.kill(target.pid, signal);
  } catch {
    return false; // ended between the look and the signal
  }
}

function readProc(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
