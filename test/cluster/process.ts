import { spawn, type StdioOptions } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { waitFor } from './wait.ts';

/** A process, told apart from a later one with the same id by when it started (clock ticks since boot). */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** The process that has this id now, unless it has ended. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readOrNothing(`/proc/${pid}/stat`);
  // After the name, which is in brackets, comes the state; these two are of processes that have ended.
  return /\) [ZX] /.test(stat) ? undefined : parseStat(stat);
}

/** @param stat a line of /proc/PID/stat. The name in it may hold spaces and brackets. */
function parseStat(stat: string): ProcessIdentity | undefined {
  const startTime = stat.split(') ').at(-1)?.split(' ')[19];
  return startTime ? { pid: Number.parseInt(stat, 10), startTime } : undefined;
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

/**
 * Starts a process that outlives this one, in a session of its own. It writes down who it is before it becomes the
 * command, so it can be found again whenever this process ends.
 * @param record file for that, see {@link recordedProcess}.
 * @param log file that its output is appended to.
 */
export async function startRecorded(argv: readonly string[], record: string, log: string): Promise<void> {
  await mkdir(path.dirname(record), { recursive: true });
  await rm(record, { force: true });
  const script = 'cat /proc/$$/stat > "$0.new" && mv "$0.new" "$0" && exec "$@"';
  const output = openSync(log, 'a');
  try {
    const stdio: StdioOptions = ['ignore', output, output];
    spawn('sh', ['-c', script, record, ...argv], { detached: true, stdio, cwd: '/' }).unref();
  } finally {
    closeSync(output);
  }
  await waitFor(`${argv[0]} to start`, 10_000, () => parseStat(readOrNothing(record)));
}

/** The process that wrote this record, unless it has ended. */
export function recordedProcess(record: string): ProcessIdentity | undefined {
  const recorded = parseStat(readOrNothing(record));
  return recorded && isAlive(recorded) ? recorded : undefined;
}

/**
 * The command that `unshare` or `nsenter` runs as a child of theirs, unless it has ended. It waits for one that is
 * about to start.
 */
export async function commandOf(parent: ProcessIdentity): Promise<ProcessIdentity | undefined> {
  const found = await waitFor(`process ${parent.pid} to start its command`, 5_000, () => {
    const child = Number.parseInt(readOrNothing(`/proc/${parent.pid}/task/${parent.pid}/children`), 10);
    if (Number.isNaN(child)) return isAlive(parent) ? undefined : parent;
    return identify(child);
  });
  return isAlive(found) ? found : undefined;
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

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
