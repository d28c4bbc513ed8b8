import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { FakeRequest } from '../../../src/runner/fake-runner-api.ts';
import { type EngineName, TerraformSite } from './terraform-site.ts';

const code = 'resource "terraform_data" "a" { input = "one" }';

for (const engine of ['opentofu', 'terraform'] satisfies EngineName[]) {
  describe(`the managed state of ${engine}`, () => {
    let site: TerraformSite;
    before(async () => {
      site = await TerraformSite.start(engine);
    });
    beforeEach(() => {
      site.api.trouble = () => undefined;
      site.api.states = [];
      site.api.lock = undefined;
      site.api.erroredState = undefined;
      site.api.requests.length = 0;
    });
    after(() => site[Symbol.asyncDispose]());

    test('is written although the operator is away for a while during the apply', async () => {
      site.code(code);
      let troubles = 0;
      site.api.trouble = ({ method, path }) => {
        if (!path.startsWith('/v1/state') || method === 'GET' || troubles >= 6) return undefined;
        troubles += 1;
        return troubles % 2 === 0 ? 'drop' : { status: 503, headers: { 'retry-after': '0' } };
      };
      const { code: exit, report, log } = await site.run({ action: 'apply' });
      assert.deepEqual([exit, report.summary], [0, '1 added, 0 changed, 0 destroyed'], log);
      assert.equal(troubles, 6);
      assert.equal(site.api.states.length, 1);
      assert.equal(site.api.lock, undefined);
    });

    test('is locked by us although the answer that said so was lost', async () => {
      site.code(code);
      let lost = 0;
      site.api.trouble = ({ method, body }: FakeRequest) => {
        if (method !== 'LOCK' || lost > 1) return undefined;
        lost += 1;
        if (lost > 1) return undefined;
        site.api.lock = JSON.parse(body.toString()) as { ID: string };
        return 'drop';
      };
      const { code: exit, log } = await site.run({ action: 'apply' });
      assert.equal(exit, 0, log);
      assert.equal(site.api.lock, undefined);
    });

    test('that somebody else has locked is not touched, and the report says who has', async () => {
      site.code(code);
      const holder = {
        ID: 'f00',
        Who: 'jane@laptop',
        Operation: 'OperationTypeApply',
        Created: '2026-01-02T03:04:05Z',
      };
      site.api.lock = holder;
      const { code: exit, report, log } = await site.run({ action: 'apply' });
      assert.deepEqual([exit, report.reason], [1, 'StateLocked'], log);
      assert.match(
        report.message ?? '',
        /locked by jane@laptop for OperationTypeApply since 2026-01-02\S+ \(lock f00\)/,
      );
      assert.doesNotMatch(report.message ?? '', /added|saved/);
      assert.equal(site.api.lock, holder);
    });

    test('that the operator refuses is kept beside it, and the report says why', async () => {
      site.code(code);
      site.api.trouble = ({ method, path }) =>
        method === 'POST' && path.startsWith('/v1/state')
          ? { status: 409, body: { reason: 'LockLost', message: 'The lock was broken by jane.' } }
          : undefined;
      const { code: exit, report, log } = await site.run({ action: 'apply' });
      assert.deepEqual([exit, report.reason], [1, 'LockLost'], log);
      assert.match(
        report.message ?? '',
        /^1 added, .* then failed: The lock was broken by jane\. The state could not be saved .* keeps it/,
      );
      assert.match(site.api.erroredState?.toString() ?? '', /"terraform_data"/);
    });

    test('takes the place of other backends in the code', async () => {
      for (const backend of [
        'backend "s3" {\n    bucket = "mine"\n  }',
        'cloud {\n    organization = "mine"\n  }',
      ]) {
        site.api.states = [];
        site.code(`terraform {\n  ${backend}\n}\n${code}`);
        const { code: exit, log } = await site.run({ action: 'apply' });
        assert.equal(exit, 0, log);
        assert.equal(site.api.states.length, 1);
      }
    });

    test('does so before anything happens, or not at all', async () => {
      site.code(code, { 'zzzzzzzzz_override.tf': 'terraform {\n  backend "local" {}\n}' });
      const { report, log } = await site.run({ action: 'apply' });
      assert.equal(report.reason, 'BackendNotReplaced', log);
      assert.ok(!log.includes('Creating'));
    });

    test('of a workspace is for code that does not read terraform.workspace', async () => {
      const module = 'output "x" { value = terraform.workspace }';
      site.code(`module "m" { source = "./m" }\n# terraform.workspace\n${code}`, { 'm/main.tf': module });
      const { report } = await site.run({ action: 'plan', workspace: 'prod' });
      assert.equal(report.reason, 'WorkspaceRead');
      assert.match(report.message ?? '', /^m\/main\.tf reads .* var\.signalbox_workspace/);
      assert.equal((await site.run({ action: 'plan' })).code, 0);
    });
  });

  describe(`the external state of ${engine}`, () => {
    let site: TerraformSite;
    const external = (site: TerraformSite) =>
      `terraform {\n  backend "local" {\n    path = "${site.site.folder}/states/default"\n    workspace_dir = "${site.site.folder}/states"\n  }\n}\n${code}\noutput "workspace" { value = terraform.workspace }`;
    before(async () => {
      site = await TerraformSite.start(engine);
    });
    after(() => site[Symbol.asyncDispose]());

    test('is that of the code, in the workspace of the step, and nothing of it goes to the operator', async () => {
      site.code(external(site));
      const step = { state: 'external', workspace: 'prod' } as const;
      const { planned, applied } = await site.planAndApply(step);
      assert.deepEqual([planned.code, applied.code], [0, 0], planned.log + applied.log);
      assert.deepEqual(applied.report.outputs, { workspace: 'prod' });
      const file = path.join(site.site.folder, 'states', 'prod', 'terraform.tfstate');
      assert.match(readFileSync(file, 'utf8'), /"terraform_data"/);
      assert.ok(!existsSync(path.join(site.site.folder, 'states', 'default')));
      assert.ok(!site.api.asked.some((request) => request.endsWith('/v1/state')));
      const again = await site.run({ action: 'apply', ...step, ...site.planOf(planned) });
      assert.equal(again.report.reason, 'PlanStale', again.log);
    });
  });
}

describe('a provider that no mirror has', () => {
  test('is named as the reason', async () => {
    await using site = await TerraformSite.start('opentofu');
    site.code('terraform {\n  required_providers {\n    nothing = { source = "example/nothing" }\n  }\n}');
    const { report, log } = await site.run({ action: 'plan' });
    assert.equal(report.reason, 'ProviderUnavailable', log);
    assert.match(report.message ?? '', /example\/nothing/);
  });
});

describe('a managed state', () => {
  test('can be large', async () => {
    await using site = await TerraformSite.start('opentofu');
    site.code(
      `resource "terraform_data" "a" { input = join("", [for i in range(1000) : format("%05500d", i)]) }`,
    );
    const { planned, applied } = await site.planAndApply();
    assert.deepEqual([planned.code, applied.code], [0, 0], applied.log.slice(-500));
    assert.ok((site.api.states.at(-1)?.length ?? 0) > 5_000_000);
    // Nothing of the log is lost when the runner exits.
    assert.match(planned.log, /succeeded: Completed: 1 to add, 0 to change, 0 to destroy\n$/);
  });
});
