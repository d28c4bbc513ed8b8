import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RUNNER_PATHS, type RunnerTask, type TerraformTask } from '../../../src/api/runner.ts';
import { FakeRunnerApi } from '../../../src/runner/fake-runner-api.ts';
import { providerMirror } from '../../cluster/provider-mirror.ts';
import { reportTo } from '../../cluster/report.ts';
import { ensureTool } from '../../cluster/tools.ts';
import { type Pod, type Ran, Site } from './runner.ts';

export type EngineName = TerraformTask['engine'];

const report = reportTo(process.stderr);
const programs = { opentofu: 'tofu', terraform: 'terraform' } as const;

/** What a step is to do; the rest is as usual. */
export type Step = Partial<TerraformTask> & { action: TerraformTask['action'] };

type More = Partial<Pod> & {
  source?: Partial<RunnerTask['source']>;
  masked?: string[];
  row?: string;
  run?: string;
  /** Certificates to trust, in PEM. */
  ca?: string;
};

/** A site with a runner API and one engine, with providers from a mirror. */
export class TerraformSite implements AsyncDisposable {
  readonly site: Site;
  readonly api: FakeRunnerApi;
  readonly engine: EngineName;
  /** The real program. */
  readonly program: string;
  private readonly mirror: string;

  private constructor(
    site: Site,
    api: FakeRunnerApi,
    engine: { name: EngineName; program: string; mirror: string },
  ) {
    this.site = site;
    this.api = api;
    this.engine = engine.name;
    this.program = engine.program;
    this.mirror = engine.mirror;
    mkdirSync(this.bin);
    symlinkSync(this.program, path.join(this.bin, programs[engine.name]));
  }

  static async start(name: EngineName): Promise<TerraformSite> {
    const [program, mirror] = [await ensureTool(name, report), await providerMirror(report)];
    return new TerraformSite(new Site(), await FakeRunnerApi.start(), { name, program, mirror });
  }

  /** The folder with the program, first on the PATH of a runner. */
  get bin(): string {
    return path.join(this.site.folder, 'bin');
  }

  /** Puts a program of our own in front of the engine. */
  wrap(script: string): string {
    const folder = path.join(this.site.folder, 'wrapped');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, programs[this.engine]), script, { mode: 0o755 });
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api[Symbol.asyncDispose]();
    this.site[Symbol.dispose]();
  }

  /** Makes this the code, and forgets the commit of the run before. */
  code(main: string, more: Record<string, string> = {}): string {
    this.api.commit = undefined;
    return this.site.repository.commit({ 'main.tf': main, ...more });
  }

  /** Runs a step. */
  run(
    step: Step,
    { source, ca, masked = [], row = step.action, run = 'run-1', ...more }: More = {},
  ): Promise<Ran> {
    const task: RunnerTask = {
      source: { url: this.site.repository.url, submodules: false, credentials: false, ...source },
      ca: ca !== undefined,
      masked,
      terraform: this.task(step),
    };
    const env = { PATH: `${this.bin}:${process.env['PATH'] ?? ''}`, ...more.env };
    const grant = { run: { name: 'deploy-1', uid: run }, row, project: 'infrastructure' };
    const files = ca === undefined ? {} : { [RUNNER_PATHS.ca]: ca };
    return this.site.run({ api: this.api, grant, files, ...more, env, task });
  }

  /** Plans, then applies that plan. */
  async planAndApply(step: Partial<TerraformTask> = {}): Promise<{ planned: Ran; applied: Ran }> {
    const planned = await this.run({ action: 'plan', ...step });
    const applied = await this.run({
      ...step,
      ...this.planOf(planned),
      action: step.destroy ? 'destroy' : 'apply',
    });
    return { planned, applied };
  }

  /** What an apply step is told about the plan. */
  planOf({ report, log }: Ran): Pick<TerraformTask, 'plan'> {
    const { digest, commit } = report.terraform ?? {};
    if (digest === undefined || commit === undefined) throw new Error(`there is no plan:\n${log}`);
    return { plan: { row: 'plan', digest, commit } };
  }

  private task(step: Step): TerraformTask {
    return {
      engine: this.engine,
      workspace: 'default',
      state: 'managed',
      vars: {},
      varFiles: [],
      targets: [],
      destroy: false,
      lockTimeout: '0s',
      mirror: { filesystem: this.mirror },
      pluginCache: false,
      projectHash: 'hash-1',
      ...step,
    };
  }
}
