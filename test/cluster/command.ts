import { spawn } from 'node:child_process';

/** What a finished command is run with; `input` goes to its standard input, `limit` is in milliseconds. */
export interface CommandOptions {
  readonly input?: string;
  readonly limit?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with each piece of what the command prints, as it prints it. */
  readonly onOutput?: (text: string) => void;
}

/** A command that could not be run to a good end. */
export class CommandFailed extends Error {
  override name = 'CommandFailed';
}

/**
 * Runs a command to its end and gives what it printed on standard output.
 * @throws CommandFailed when it is not there, ends with another code than 0, or takes longer than `limit` (default 60 s).
 */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const program = argv[0] ?? '';
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn('setpriv', [...endsWithThisProcess, '--', ...argv], {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.limit ?? 60_000,
    killSignal: 'SIGKILL',
    env: { ...process.env, ...options.env },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    options.onOutput?.(chunk.toString());
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
    options.onOutput?.(chunk.toString());
  });
  child.stdin.on('error', () => undefined); // a command that does not read its input may close it first
  child.stdin.end(options.input ?? '');
  child.on('error', (error) => reject(new CommandFailed(`${program} could not be run: ${error.message}`)));
  child.on('close', (code, signal) => {
    if (code === 0) resolve(output);
    else reject(new CommandFailed(describeFailure(argv, code ?? signal, `${output}\n${errors}`)));
  });
  return promise;
}

// Without it a command goes on alone when this process is killed, and works against the one that is started next.
const endsWithThisProcess = ['--pdeathsig', 'KILL'];

/**
 * Command line that runs a command with processes and mounts of its own. The kernel ends them with the command, so one
 * that is killed leaves neither behind. As root.
 */
export function contained(argv: readonly string[]): string[] {
  return ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', ...argv];
}

function describeFailure(argv: readonly string[], end: number | string | null, printed: string): string {
  const shown = argv.join(' ').slice(0, 200);
  return `${shown} ended with ${end}:\n${printed.trim().split('\n').slice(-25).join('\n')}`;
}
