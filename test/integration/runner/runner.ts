import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RUNNER_ENV, RUNNER_PATHS, type RunnerReport, runnerReport } from '../../../src/api/runner.ts';
import type { RunnerTask } from '../../../src/api/runner.ts';
import type { FakeRunnerApi } from '../../../src/runner/fake-runner-api.ts';
import { Repository } from './repository.ts';

/** What came of a runner. */
export interface Ran {
  code: number | null;
  /** All that it wrote. */
  log: string;
  report: RunnerReport;
}

export interface Pod {
  task: RunnerTask;
  api?: FakeRunnerApi;
  /** What the operator lets it do; it is in the clear before its signature. */
  grant?: object;
  env?: Record<string, string>;
  /** Content of files below `/signalbox`. */
  files?: Record<string, string>;
  /** Is called with each piece of the log. */
  onLog?: (log: string, runner: ChildProcess) => void;
}

const entry = path.join(import.meta.dirname, 'runner-process.ts');
const LIMIT_MS = 120_000;

/** A folder for a test, with a repository in it, in which runners work as in pods of their own. */
export class Site implements Disposable {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'signalbox-runner-'));
  readonly repository = new Repository(path.join(this.folder, 'repository'));
  private pods = 0;

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The folder in which the runner that was started last works. */
  get pod(): string {
    return path.join(this.folder, `pod-${this.pods}`);
  }

  /** Runs the runner to its end. */
  async run(pod: Pod): Promise<Ran> {
    this.pods += 1;
    this.mount(pod);
    const output = path.join(this.pod, 'output');
    const child = spawn(process.execPath, [entry, this.pod], {
      env: { ...this.environment(pod), [RUNNER_ENV.report]: output },
      cwd: this.pod,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    let log = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      pod.onLog?.(log, child);
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    if (!existsSync(output)) throw new Error(`the runner wrote no report:\n${log}`);
    return { code, log, report: runnerReport.parse(JSON.parse(readFileSync(output, 'utf8'))) };
  }

  private mount({ files = {} }: Pod): void {
    mkdirSync(path.join(this.pod, 'home'), { recursive: true });
    for (const [name, text] of Object.entries({ [RUNNER_PATHS.token]: 'token-of-the-pod', ...files })) {
      const file = path.join(this.pod, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  private environment({ task, api, grant = {}, env = {} }: Pod): Record<string, string> {
    const access =
      api === undefined
        ? {}
        : {
            [RUNNER_ENV.apiUrl]: api.url,
            [RUNNER_ENV.apiCa]: api.ca,
            [RUNNER_ENV.grant]: `${Buffer.from(JSON.stringify(grant)).toString('base64url')}.signature`,
          };
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: path.join(this.pod, 'home'),
      [RUNNER_ENV.task]: JSON.stringify(task),
      ...access,
      ...env,
    };
  }
}
