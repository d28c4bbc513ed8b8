import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TerraformDetails } from '../../../src/api/runner.ts';
import type { Ran } from './runner.ts';
import { type EngineName, TerraformSite } from './terraform-site.ts';

const first = `
resource "terraform_data" "kept" { input = "same" }
resource "terraform_data" "changed" { input = "one" }
resource "terraform_data" "dropped" { input = "gone" }
resource "terraform_data" "replaced" { triggers_replace = "one" }
resource "terraform_data" "old_name" { input = "moved" }
resource "time_static" "now" {}
output "address" { value = "one" }
output "same" { value = "same" }
`;
const second = `
resource "terraform_data" "kept" { input = "same" }
resource "terraform_data" "changed" { input = "two" }
resource "terraform_data" "replaced" { triggers_replace = "two" }
resource "terraform_data" "new_name" { input = "moved" }
resource "terraform_data" "added" {
  for_each = toset(["a", "b"])
  input    = each.key
}
moved {
  from = terraform_data.old_name
  to   = terraform_data.new_name
}
import {
  to = terraform_data.imported
  id = "known-before"
}
resource "terraform_data" "imported" {}
resource "time_static" "now" {}
output "address" { value = "two" }
output "same" { value = "same" }
`;

/** What the program itself says in the pod of a runner that has ended. */
function showJson(site: TerraformSite) {
  const workspace = path.join(site.site.pod, 'workspace');
  const folder = readdirSync(workspace).find((name) => name.startsWith('runner-')) ?? '';
  const env = {
    TF_DATA_DIR: path.join(workspace, folder, 'data'),
    TF_CLI_CONFIG_FILE: path.join(workspace, folder, 'cli-config.json'),
  };
  const args = ['show', '-json', path.join(workspace, folder, 'plan')];
  const options = { cwd: path.join(workspace, 'source'), env, encoding: 'utf8' } as const;
  return JSON.parse(execFileSync(site.program, args, options)) as {
    resource_changes: { change: { actions: string[]; importing?: object } }[];
    output_changes: Record<string, { actions: string[] }>;
  };
}

/** Counts the way Terraform does, apart from what the runner does. */
function countsOf(site: TerraformSite) {
  const { resource_changes: resources, output_changes: outputs } = showJson(site);
  const having = (...wanted: string[]) =>
    resources.filter(({ change }) => wanted.every((action) => change.actions.includes(action))).length;
  return {
    add: having('create'),
    change: having('update'),
    destroy: having('delete'),
    replace: having('create', 'delete'),
    import: resources.filter(({ change }) => change.importing !== undefined).length,
    outputs: Object.values(outputs).filter(({ actions }) => actions[0] !== 'no-op').length,
  };
}

const countsIn = ({ add, change, destroy, replace, import: imported, outputs }: TerraformDetails) => ({
  add,
  change,
  destroy,
  replace,
  import: imported,
  outputs,
});

function assertSucceeded({ code, report, log }: Ran): TerraformDetails {
  assert.deepEqual([code, report.reason], [0, 'Completed'], log);
  assert.ok(report.terraform !== undefined);
  return report.terraform;
}

for (const engine of ['opentofu', 'terraform'] satisfies EngineName[]) {
  describe(engine, () => {
    let site: TerraformSite;
    before(async () => {
      site = await TerraformSite.start(engine);
    });
    after(() => site[Symbol.asyncDispose]());

    test('plans and applies exactly that, and counts as the program itself does', async () => {
      site.code(first);
      const one = await site.planAndApply();
      assertSucceeded(one.planned);
      assert.equal(one.planned.report.summary, '6 to add, 0 to change, 0 to destroy');
      assertSucceeded(one.applied);
      assert.equal(one.applied.report.summary, '6 added, 0 changed, 0 destroyed');
      assert.deepEqual(one.applied.report.outputs, { address: 'one', same: 'same' });

      site.code(second);
      const planned = await site.run({ action: 'plan' });
      const plan = assertSucceeded(planned);
      assert.deepEqual(countsIn(plan), countsOf(site));
      assert.match(planned.log, /Plan: 1 to import, 3 to add, 1 to change, 2 to destroy\./);
      assert.equal(
        planned.report.summary,
        '3 to add, 1 to change, 2 to destroy (1 replaced), 1 to import, 1 to move',
      );
      assert.equal(plan.drifted, true);
      assert.deepEqual(plan.changes, [
        { address: 'terraform_data.replaced', action: 'replace' },
        { address: 'terraform_data.dropped', action: 'delete' },
        { address: 'terraform_data.changed', action: 'update' },
        { address: 'terraform_data.added["a"]', action: 'create' },
        { address: 'terraform_data.added["b"]', action: 'create' },
        { address: 'terraform_data.imported', action: 'import' },
        { address: 'terraform_data.new_name', action: 'move' },
      ]);

      const applied = await site.run({ action: 'apply', ...site.planOf(planned) });
      const done = assertSucceeded(applied);
      assert.match(applied.log, /Resources: 1 imported, 3 added, 1 changed, 2 destroyed\./);
      assert.equal(
        applied.report.summary,
        '3 added, 1 changed, 2 destroyed (1 replaced), 1 imported, 1 moved',
      );
      assert.deepEqual({ ...countsIn(done), changes: undefined }, { ...countsIn(plan), changes: undefined });
      assert.deepEqual(applied.report.outputs, { address: 'two', same: 'same' });
      assert.equal(done.digest, plan.digest);
      assert.equal(site.api.lock, undefined);
    });

    test('says when nothing changes, and when only outputs do', async () => {
      site.code(second);
      const same = await site.run({ action: 'plan' });
      assert.equal(assertSucceeded(same).drifted, false);
      assert.equal(same.report.summary, 'No changes');
      site.code(second.replace('value = "two"', 'value = "three"'));
      const { planned, applied } = await site.planAndApply();
      assert.equal(planned.report.summary, 'No changes to resources, 1 output to change');
      assert.equal(assertSucceeded(planned).drifted, true);
      assert.equal(assertSucceeded(applied).outputs, 1);
      assert.equal(applied.report.summary, 'No changes to resources, 1 output changed');
    });

    test('says what was applied before it failed', async () => {
      site.code(`${second}
resource "terraform_data" "first" { input = "fine" }
resource "terraform_data" "broken" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = "echo no such luck; exit 7" }
}
import {
  to = terraform_data.imported_too
  id = "known-too"
}
resource "terraform_data" "imported_too" {}
`);
      const { applied } = await site.planAndApply();
      assert.deepEqual([applied.code, applied.report.reason], [1, 'ApplyFailed'], applied.log);
      assert.equal(applied.report.summary, '1 added, 0 changed, 0 destroyed, 1 imported, then failed');
      assert.match(
        applied.report.message ?? '',
        /^1 added, 0 changed, 0 destroyed, 1 imported, then failed: terraform_data\.broken: .*exit status 7.*The state is saved/,
      );
      assert.match(applied.log, /terraform_data\.broken \(local-exec\): no such luck\n/);
      assert.match(applied.log, /^Error: local-exec provisioner error$/m);
      assert.equal(site.api.lock, undefined);
    });

    test('plans a destruction, which only a step that destroys carries out', async () => {
      const planned = await site.run({ action: 'plan', destroy: true });
      const { destroy } = assertSucceeded(planned);
      const refused = await site.run({ action: 'apply', ...site.planOf(planned) });
      assert.equal(refused.report.reason, 'DestroyNeedsAction');
      const destroyed = await site.run({ action: 'destroy', destroy: true, ...site.planOf(planned) });
      assert.equal(assertSucceeded(destroyed).destroy, destroy);
      assert.equal(destroyed.report.summary, `0 added, 0 changed, ${destroy} destroyed`);
      const state = JSON.parse(site.api.states.at(-1)?.toString() ?? '{}') as { resources: unknown[] };
      assert.deepEqual(state.resources, []);
    });

    test('plans and applies at once where that is spelled out', async () => {
      site.code('resource "terraform_data" "a" {}\nresource "terraform_data" "b" {}');
      const targeted = await site.run({ action: 'apply', targets: ['terraform_data.a'] }, { row: 'at-once' });
      const { autoApproved, add } = assertSucceeded(targeted);
      assert.deepEqual({ autoApproved, add }, { autoApproved: true, add: 1 });
      assert.match(targeted.log, /# terraform_data\.a will be created/);
      assert.equal(targeted.report.summary, '1 added, 0 changed, 0 destroyed');
    });

    test('takes values of variables from the step, files and the environment', async () => {
      site.code(
        `
variable "list" { type = list(string) }
variable "file" {}
variable "secret" {
  sensitive = true
}
variable "signalbox_workspace" {}
output "all" { value = "\${join(",", var.list)} \${var.file} \${nonsensitive(length(var.secret))} \${var.signalbox_workspace}" }
`,
        { 'values/eu.tfvars': 'file = "from-file"\nlist = ["hidden"]\n' },
      );
      const step = { vars: { list: ['a', 'b'] }, varFiles: ['values/eu.tfvars'], workspace: 'eu' };
      const more = { env: { TF_VAR_secret: 'hunter22' }, masked: ['TF_VAR_secret'] };
      const applied = await site.run({ action: 'apply', ...step }, more);
      assertSucceeded(applied);
      assert.deepEqual(applied.report.outputs, { all: 'a,b from-file 8 eu' });
    });

    test('leaves out outputs for which there is no room, and says so', async () => {
      site.code(
        'output "small" { value = [1, true] }\noutput "large" { value = join("", [for i in range(900) : "12345"]) }',
      );
      const applied = await site.run({ action: 'apply' });
      assertSucceeded(applied);
      assert.deepEqual(applied.report.outputs, { small: [1, true] });
      assert.match(applied.log, /left out, because a step can have 4 KiB .*: large\n/);
    });

    test('needs the version that the Project names', async () => {
      const { report } = await site.run({ action: 'plan', version: '1.2' });
      assert.equal(report.reason, 'VersionMismatch');
      const [, minor] =
        execFileSync(site.program, ['version'], { encoding: 'utf8', env: {} }).match(/v(\d+\.\d+)\./) ?? [];
      site.code('');
      assertSucceeded(await site.run({ action: 'plan', version: minor ?? '' }));
    });

    test('writes a log without JSON, and no state into it', async () => {
      site.code('resource "terraform_data" "a" { input = "value" }');
      const { planned, applied } = await site.planAndApply();
      for (const { log } of [planned, applied]) {
        assert.doesNotMatch(log, /"@message"|"lineage"/);
        assert.match(log, /\[signalbox\] init: \d+\.\d\d s\n/);
      }
      const traced = await site.run(
        { action: 'plan' },
        { env: { TF_LOG: 'TRACE', TF_CLI_ARGS_plan: '-destroy' } },
      );
      assertSucceeded(traced);
      assert.match(traced.log, /not passed on.*TF_LOG, TF_CLI_ARGS_plan/);
      assert.doesNotMatch(traced.log, /\[TRACE\]|"lineage"/);
      assert.equal(traced.report.summary, 'No changes');
    });
  });
}
