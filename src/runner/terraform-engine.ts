import * as z from 'zod';
import type { TerraformTask } from '../api/runner.ts';
import { RunnerError } from './failure.ts';
import type { Log } from './log.ts';
import type { Mask } from './mask.ts';
import {
  both,
  Collected,
  type Command,
  describeExit,
  type Environment,
  type Exit,
  lines,
  runProgram,
  succeeded,
} from './process.ts';
import { errorsInText, type LockHolder, terraformFailure } from './terraform-failure.ts';
import { TerraformLog } from './terraform-log.ts';
import { type Diagnostic, type Message, parseMessage } from './terraform-messages.ts';

const PROGRAMS = { opentofu: 'tofu', terraform: 'terraform' } as const;
const versionAnswer = z.object({ terraform_version: z.string() });
const WORDS_LIMIT = 1024 * 1024;
/** Of a plan as JSON, which has the whole state in it. */
const JSON_LIMIT = 256 * 1024 * 1024;

/** How a command that sends messages ended. */
export interface Ran {
  exit: Exit;
  errors: Diagnostic[];
}

interface EngineOptions {
  name: TerraformTask['engine'];
  cwd: string;
  env: Environment;
  log: Log;
  mask: Mask;
  stop: AbortSignal;
  /** Who held the lock of a managed state when it was asked for. */
  lockHolder(): LockHolder | undefined;
}

/** Terraform or OpenTofu, in the folder of the code. */
export class Engine {
  private readonly options: EngineOptions;

  constructor(options: EngineOptions) {
    this.options = options;
  }

  /**
   * The exact version.
   * @param wanted as far as it is given
   * @throws RunnerError `VersionMismatch`, `ProgramNotFound`
   */
  async version(wanted: string | undefined): Promise<string> {
    const text = await this.capture('EngineFailed', ['version', '-json']);
    const { terraform_version: version } = versionAnswer.parse(JSON.parse(text));
    if (wanted === undefined || version === wanted || version.startsWith(`${wanted}.`)) return version;
    throw new RunnerError(
      'VersionMismatch',
      `The Project wants ${this.options.name} ${wanted}, and the image has ${version}. Name an image that has it in terraform.image, or change terraform.version.`,
    );
  }

  /**
   * Runs a command whose words are for people, and shows them.
   * @throws RunnerError
   */
  async show(reason: string, args: readonly string[]): Promise<void> {
    const words = new Collected(WORDS_LIMIT);
    const toLog = () => lines((line) => this.options.log.line(line));
    const exit = await this.run(args, both(toLog(), words), both(toLog(), words));
    if (!succeeded(exit)) throw this.failed(reason, args, exit, errorsInText(words.text));
  }

  /**
   * Runs a command and gives what it wrote, without showing it.
   * @throws RunnerError
   */
  async capture(reason: string, args: readonly string[]): Promise<string> {
    const stdout = new Collected(JSON_LIMIT);
    const stderr = new Collected(WORDS_LIMIT);
    const exit = await this.run(args, stdout, stderr);
    if (!succeeded(exit)) throw this.failed(reason, args, exit, errorsInText(stderr.text));
    if (stdout.isCut) throw new RunnerError(reason, `${args[0]} wrote more than 256 MiB.`);
    return stdout.text;
  }

  /** Runs a command with `-json`, and shows its messages as text. */
  async follow(args: readonly string[], onMessage: (message: Message) => void): Promise<Ran> {
    const errors: Diagnostic[] = [];
    const shown = new TerraformLog(this.options.log, this.options.mask);
    const stdout = lines((line) => {
      const message = parseMessage(line);
      if (message.diagnostic?.severity === 'error') errors.push(message.diagnostic);
      shown.show(message);
      onMessage(message);
    });
    const words = new Collected(WORDS_LIMIT);
    const stderr = both(
      words,
      lines((line) => this.options.log.line(line)),
    );
    const exit = await this.run(args, stdout, stderr);
    shown.end();
    return { exit, errors: [...errors, ...errorsInText(words.text)] };
  }

  /** What is thrown when a command has failed. */
  failed(reason: string, args: readonly string[], exit: Exit, errors: readonly Diagnostic[]): RunnerError {
    if (this.options.stop.aborted) {
      return new RunnerError('Interrupted', `The step was stopped during ${args[0]}; nothing was changed.`);
    }
    const fallback = `${PROGRAMS[this.options.name]} ${args[0]} ended with ${describeExit(exit)}; the log says more.`;
    // Before lines are joined: a secret in two of them would no longer be found.
    const { mask } = this.options;
    const masked = errors.map((error) => ({
      ...error,
      summary: mask.text(error.summary),
      detail: mask.text(error.detail),
    }));
    return terraformFailure(masked, { reason, fallback, holder: this.options.lockHolder() });
  }

  private async run(
    args: readonly string[],
    stdout: ReturnType<typeof lines>,
    stderr: ReturnType<typeof lines>,
  ): Promise<Exit> {
    const { name, cwd, env, stop } = this.options;
    const command: Command = { program: PROGRAMS[name], args, cwd, env };
    // One signal asks it to end in good order; a second one would make it leave its state behind.
    return runProgram(command, { stdout, stderr, stop, stopBy: 'SIGINT' });
  }
}
