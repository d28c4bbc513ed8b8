import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type AnsibleTask,
  RUNNER_ENV,
  RUNNER_PATHS,
  type RunnerReport,
  runnerReport,
} from '../../../src/api/runner.ts';
import { fakeAnsibleTask } from '../../../src/runner/fake-ansible-task.ts';
import { FakeRunnerApi } from '../../../src/runner/fake-runner-api.ts';
import { silent } from '../../cluster/report.ts';
import { buildRunner } from '../../demo/install.ts';
import { startContainer, type UnpackedImage, unpack } from '../../kit/container.ts';
import { type GitServer, startGitServer } from './git-server.ts';
import { type Files, Repository } from './repository.ts';

/** A step as a test wants it. */
export interface AnsibleStepRun {
  task?: Partial<AnsibleTask>;
  env?: Record<string, string>;
  /** Names of variables in `env` that come from Secrets. */
  masked?: string[];
  /** Content of files below `/signalbox`. */
  files?: Files;
  /** Is called when the container has started. */
  onStart?: (container: ChildProcess, output: string) => void;
}

/** What came of it. */
export interface AnsibleStepEnd {
  code: number | null;
  log: string;
  report: RunnerReport;
  /** Of this machine: the folder that it could write to, as `/output`. */
  output: string;
}

/** Runs Ansible steps in containers of the real image, on code of a real repository, against a fake runner API. */
export class AnsibleSite implements AsyncDisposable {
  readonly folder: string;
  readonly repository: Repository;
  private readonly image: UnpackedImage;
  private readonly git: GitServer;
  private count = 0;

  private constructor(folder: string, image: UnpackedImage, git: GitServer) {
    this.folder = folder;
    this.image = image;
    this.git = git;
    this.repository = new Repository(path.join(folder, 'repository'));
  }

  static async open(): Promise<AnsibleSite> {
    const image = await unpack(await buildRunner('ansible', silent));
    const folder = mkdtempSync(path.join(tmpdir(), 'signalbox-ansible-'));
    return new AnsibleSite(folder, image, await startGitServer({ root: folder }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.git[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Address of the repository. */
  get url(): string {
    return `${this.git.url}/repository`;
  }

  /** Runs the runner on the newest commit to its end. */
  async run({ task, env = {}, masked = [], files = {}, onStart }: AnsibleStepRun): Promise<AnsibleStepEnd> {
    await using api = await FakeRunnerApi.start();
    const mounts = this.mountsFor({ 'api/token': 'token-of-the-pod', 'ca/ca.crt': this.git.ca, ...files });
    const runnerTask = {
      source: { url: this.url, submodules: false, credentials: false },
      ca: true,
      masked,
      ansible: fakeAnsibleTask(task),
    };
    const container = await startContainer(this.image, {
      mounts,
      env: {
        [RUNNER_ENV.task]: JSON.stringify(runnerTask),
        [RUNNER_ENV.apiUrl]: api.url,
        [RUNNER_ENV.apiCa]: api.ca,
        [RUNNER_ENV.grant]: 'e30.signature',
        [RUNNER_ENV.report]: '/output/report',
        ...env,
      },
    });
    onStart?.(container, mounts['/output']);
    const { code, log } = await endOf(container);
    const report = path.join(mounts['/output'], 'report');
    if (!existsSync(report)) throw new Error(`the runner wrote no report:\n${log}`);
    return {
      code,
      log,
      report: runnerReport.parse(JSON.parse(readFileSync(report, 'utf8'))),
      output: mounts['/output'],
    };
  }

  /** Runs a program of the image in a folder of its own, and gives the folder. */
  async runTool(command: readonly string[], files: Files): Promise<string> {
    const mounts = this.mountsFor(files);
    const env = { ANSIBLE_NOCOLOR: '1' };
    const { code, log } = await endOf(await startContainer(this.image, { mounts, env, command }));
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${log}`);
    return mounts['/output'];
  }

  private mountsFor(files: Files): { '/signalbox': string; '/output': string } {
    this.count += 1;
    const top = path.join(this.folder, `pod-${this.count}`);
    const mounts = { '/signalbox': path.join(top, 'signalbox'), '/output': path.join(top, 'output') };
    for (const folder of Object.values(mounts)) mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(mounts['/signalbox'], name);
      mkdirSync(path.dirname(file), { recursive: true });
      // As a volume may have it; programs among them can be run.
      writeFileSync(file, text, { mode: 0o755 });
    }
    return mounts;
  }
}

/** The path of a file that the kubelet mounts, below its top folder. */
export const mounted = (file: keyof typeof RUNNER_PATHS, key = '') =>
  path.join(path.relative('/signalbox', RUNNER_PATHS[file]), key);

async function endOf(container: ChildProcess) {
  let log = '';
  for (const stream of [container.stdout, container.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  }
  const code = await new Promise<number | null>((resolve) => container.once('close', resolve));
  return { code, log };
}
