import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Ran } from './runner.ts';
import { type EngineName, TerraformSite } from './terraform-site.ts';

const slow = `
resource "terraform_data" "first" {}
resource "time_sleep" "slow" {
  depends_on      = [terraform_data.first]
  create_duration = "60s"
}
resource "terraform_data" "never" { depends_on = [time_sleep.slow] }
`;

interface State {
  resources: { name: string; instances: unknown[] }[];
}

/** Stands in front of the program, writes down the signals that it gets, and passes them on. */
const recorder = (program: string, record: string) => `#!${process.execPath}
const { spawn } = require('node:child_process');
const { appendFileSync } = require('node:fs');
const child = spawn(${JSON.stringify(program)}, process.argv.slice(2), { stdio: 'inherit', detached: true });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    appendFileSync(${JSON.stringify(record)}, process.argv[2] + ' ' + signal + '\\n');
    child.kill(signal);
  });
}
child.on('exit', (code) => process.exit(code ?? 1));
`;

function recorded(record: string): string[] {
  return readFileSync(record, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean);
}

for (const engine of ['opentofu', 'terraform'] satisfies EngineName[]) {
  describe(`${engine} that is stopped`, () => {
    let site: TerraformSite;
    let record: string;
    let env: Record<string, string>;
    before(async () => {
      site = await TerraformSite.start(engine);
      record = path.join(site.site.folder, 'signals');
      const wrapped = site.wrap(recorder(site.program, record));
      env = { PATH: `${wrapped}:${process.env['PATH'] ?? ''}` };
    });
    after(() => site[Symbol.asyncDispose]());

    test('in the middle of an apply gets exactly one SIGINT, saves its state and gives the lock back', async () => {
      site.code(slow);
      const planned = await site.run({ action: 'plan' });
      let signals = 0;
      const started = performance.now();
      const ran: Ran = await site.run(
        { action: 'apply', ...site.planOf(planned) },
        {
          env,
          onLog(log, runner) {
            if (signals > 0 || !log.includes('time_sleep.slow: Creating')) return;
            signals += 1;
            runner.kill('SIGTERM');
            // The second comes when the first is being acted on.
            setTimeout(() => runner.kill('SIGTERM'), 100);
          },
        },
      );
      assert.deepEqual(recorded(record), ['apply SIGINT'], ran.log);
      assert.ok(performance.now() - started < 55_000, 'it waited for the resource');
      assert.deepEqual([ran.code, ran.report.reason], [1, 'Interrupted'], ran.log);
      assert.match(
        ran.report.message ?? '',
        /^1 added, 0 changed, 0 destroyed, then stopped: .*The state is saved/,
      );
      assert.equal(ran.report.terraform?.add, 1);
      assert.equal(site.api.lock, undefined);
      const state = JSON.parse(site.api.states.at(-1)?.toString() ?? '') as State;
      const made = state.resources.filter(({ instances }) => instances.length > 0).map(({ name }) => name);
      assert.ok(made.includes('first') && !made.includes('never'), made.join());
    });

    test('while it plans says that nothing was changed, and keeps no plan', async () => {
      site.code(slow);
      site.api.bundle = undefined;
      const ran = await site.run(
        { action: 'plan' },
        {
          env,
          onLog(log, runner) {
            if (log.includes('Initializing the backend')) runner.kill('SIGTERM');
          },
        },
      );
      assert.deepEqual([ran.code, ran.report.reason], [1, 'Interrupted'], ran.log);
      assert.match(ran.report.message ?? '', /nothing/);
      assert.equal(site.api.bundle, undefined);
      assert.equal(site.api.lock, undefined);
    });
  });
}
