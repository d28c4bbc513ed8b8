import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';
import { interrupted, RunnerError } from './failure.ts';

export type Environment = Readonly<Record<string, string>>;

/** A program to run: there is no shell between us and it. */
export interface Command {
  /** Looked up on the PATH of `env`. */
  program: string;
  args: readonly string[];
  cwd: string;
  env: Environment;
}

/** Takes what a program writes. */
export interface Sink {
  write(chunk: Buffer): void;
  /** No more comes. */
  end(): void;
}

export interface Handling {
  stdout: Sink;
  stderr: Sink;
  /** When somebody stops the step, the program gets one signal, and is then waited for. */
  stop: AbortSignal;
  stopBy: 'SIGINT' | 'SIGTERM';
}

/** How a program ended. */
export type Exit = { code: number } | { signal: NodeJS.Signals };

/** So long the output of a program may stay open after its end: something that it left behind may hold it. */
const LEFT_OPEN_MS = 2000;

/**
 * Runs a program to its end.
 *
 * The signal goes to the program alone, not to those that it has started: Terraform and Ansible end those themselves.
 * As the first process of a container, Node inherits orphans and does not reap them. They cost an entry in a process
 * table that is gone seconds later.
 *
 * @throws RunnerError `ProgramNotFound`, or `Interrupted` if the step had been stopped before
 */
export async function runProgram(command: Command, handling: Handling): Promise<Exit> {
  if (handling.stop.aborted) throw interrupted(`the start of ${command.program}`);
  const child = spawn(command.program, command.args, {
    cwd: command.cwd,
    env: command.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: what is sent to ours does not reach it a second time.
    detached: true,
  });
  connect(child, handling);
  const passOn = () => child.kill(handling.stopBy);
  handling.stop.addEventListener('abort', passOn, { once: true });
  try {
    return await endOf(child, command.program);
  } finally {
    handling.stop.removeEventListener('abort', passOn);
    handling.stdout.end();
    handling.stderr.end();
  }
}

function connect(child: ChildProcess, { stdout, stderr }: Handling): void {
  child.stdout?.on('data', (chunk: Buffer) => stdout.write(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.write(chunk));
}

async function endOf(child: ChildProcess, program: string): Promise<Exit> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const exit = await new Promise<Exit>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => reject(notStarted(program, error)));
    child.once('exit', (code, signal) => resolve(signal === null ? { code: code ?? 1 } : { signal }));
  });
  await Promise.race([closed, delay(LEFT_OPEN_MS, undefined, { ref: false })]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return exit;
}

function notStarted(program: string, error: NodeJS.ErrnoException): RunnerError {
  const why = error.code === 'ENOENT' ? 'is not in the image' : `could not be started: ${error.message}`;
  return new RunnerError('ProgramNotFound', `The program ${program} ${why}. Use an image that has it.`);
}

export const succeeded = (exit: Exit) => 'code' in exit && exit.code === 0;

/** Says how a program ended. */
export function describeExit(exit: Exit): string {
  return 'code' in exit ? `exit code ${exit.code}` : `signal ${exit.signal}`;
}

/** Hands on each line, without its end; the last one also if it has none. */
export function lines(onLine: (line: string) => void): Sink {
  const decoder = new StringDecoder('utf8');
  let pieces: string[] = [];
  const take = (text: string) => {
    const parts = text.split('\n');
    const rest = parts.pop() ?? '';
    for (const part of parts) {
      pieces.push(part);
      const line = pieces.join('');
      pieces = [];
      onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    }
    if (rest !== '') pieces.push(rest);
  };
  return {
    write: (chunk) => take(decoder.write(chunk)),
    end() {
      take(decoder.end());
      if (pieces.length > 0) take('\n');
    },
  };
}

/** Keeps what is written. */
export class Collected implements Sink {
  private readonly chunks: Buffer[] = [];
  private readonly limit: number;
  private size = 0;

  /** @param limit bytes; what comes beyond is dropped */
  constructor(limit: number) {
    this.limit = limit;
  }

  write(chunk: Buffer): void {
    this.size += chunk.length;
    if (this.size <= this.limit) this.chunks.push(chunk);
  }

  end(): void {}

  /** More was written than is kept. */
  get isCut(): boolean {
    return this.size > this.limit;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }
}

/** Writes to several sinks. */
export function both(...sinks: readonly Sink[]): Sink {
  return {
    write: (chunk) => sinks.forEach((sink) => sink.write(chunk)),
    end: () => sinks.forEach((sink) => sink.end()),
  };
}

/** Waits until all that was written has left this process: Node drops the rest when it exits. */
export async function drained(stream: Writable): Promise<void> {
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}
