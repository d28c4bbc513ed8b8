import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { packBundle, unpackBundle } from '../../../src/runner/terraform-bundle.ts';
import { digestOf } from '../../../src/runner/fake-runner-api.ts';
import type { Ran } from './runner.ts';
import { TerraformSite } from './terraform-site.ts';

const code = 'resource "terraform_data" "a" { input = "one" }\nresource "time_static" "now" {}';
const withoutEnding = / ended with |exit code/;

describe('a plan is not applied', () => {
  let site: TerraformSite;
  let planned: Ran;
  before(async () => {
    site = await TerraformSite.start('opentofu');
  });
  beforeEach(async () => {
    site.api.states = [];
    site.code(code);
    planned = await site.run({ action: 'plan' });
    site.api.requests.length = 0;
  });
  after(() => site[Symbol.asyncDispose]());

  function assertRefused({ code, report, log }: Ran, reason: string, message: RegExp) {
    assert.deepEqual([code, report.reason], [1, reason], log);
    assert.match(report.message ?? '', message);
    assert.doesNotMatch(report.message ?? '', withoutEnding);
    assert.ok(!site.api.asked.includes('POST /v1/state'), 'the state was written');
    assert.ok(!log.includes('terraform_data.a: Creating'), log);
  }

  const apply = (change: Parameters<TerraformSite['run']>[0] | object = {}, more = {}) =>
    site.run({ action: 'apply', ...site.planOf(planned), ...change }, more);

  test('when the operator does not have it', async () => {
    site.api.bundle = undefined;
    assertRefused(await apply(), 'PlanMissing', /PlanMissing/);
  });

  test('when a byte of it was altered', async () => {
    const { bundle } = site.api;
    assert.ok(bundle !== undefined);
    for (const at of [5, 25, 60, bundle.length - 1]) {
      site.api.bundle = Buffer.from(bundle);
      site.api.bundle.writeUInt8(bundle.readUInt8(at) ^ 1, at);
      assertRefused(await apply(), 'PlanAltered', /digest/);
    }
    site.api.bundle = bundle.subarray(0, -1);
    assertRefused(await apply(), 'PlanAltered', /digest/);
  });

  test('when the state has moved on', async () => {
    const other = await apply();
    assert.equal(other.code, 0, other.log);
    site.api.requests.length = 0;
    assertRefused(await apply(), 'PlanStale', /made of no state, and now there is serial \d+ of state/);
  });

  test('when the state moves on in the moment before', async () => {
    const moved = Buffer.from(JSON.stringify({ version: 4, serial: 7, lineage: 'other', resources: [] }));
    // The runner asks once itself, before Terraform takes the lock and reads it again.
    site.api.trouble = ({ method }) => {
      if (method === 'LOCK') site.api.states = [moved];
      return undefined;
    };
    const ran = await apply();
    site.api.trouble = () => undefined;
    assert.equal(ran.report.reason, 'PlanStale', ran.log);
    assert.deepEqual(site.api.states, [moved]);
    assert.equal(site.api.lock, undefined);
  });

  test('when the Project was edited in between', async () => {
    assertRefused(await apply({ projectHash: 'hash-2' }), 'ProjectChanged', /Project/);
  });

  test('when the code is of another commit', async () => {
    site.code('resource "terraform_data" "evil" {}');
    assertRefused(await apply(), 'CommitMoved', /made of commit/);
  });

  test('of a branch that moved, but the commit of the run', async () => {
    const { commit } = site.api;
    site.code('resource "terraform_data" "evil" {}');
    site.api.commit = commit;
    const { code, log } = await apply();
    assert.equal(code, 0, log);
    assert.match(log, /terraform_data\.a: Creation complete/);
    assert.doesNotMatch(log, /evil/);
  });

  test('of another run, or another step of this one', async () => {
    assertRefused(await apply({}, { run: 'run-2' }), 'PlanOfOtherRun', /another run/);
    const plan = site.planOf(planned).plan;
    assert.ok(plan !== undefined);
    assertRefused(await apply({ plan: { ...plan, row: 'plan[us]' } }), 'PlanOfOtherRun', /step plan of/);
  });

  test('for another workspace', async () => {
    assertRefused(await apply({ workspace: 'prod' }), 'WorkspaceChanged', /workspace default/);
  });

  test('by another version, or another program', async () => {
    const bundle = unpackBundle(site.api.bundle ?? Buffer.alloc(0), site.planOf(planned).plan?.digest ?? '');
    for (const other of [{ version: '1.0.0' }, { engine: 'terraform' }]) {
      const altered = packBundle({ ...bundle, meta: { ...bundle.meta, ...other } });
      site.api.bundle = altered;
      const plan = { ...site.planOf(planned).plan, digest: digestOf(altered) };
      assertRefused(await apply({ plan }), 'VersionChanged', /opentofu 1\./);
    }
  });

  test('with other providers than those that it was locked to', async () => {
    const { plan } = site.planOf(planned);
    assert.ok(plan !== undefined);
    const bundle = unpackBundle(site.api.bundle ?? Buffer.alloc(0), plan.digest);
    assert.match(bundle.lockFile?.toString() ?? '', /hashicorp\/time/);
    const { lockFile: _, ...unlocked } = bundle;
    const altered = packBundle(unlocked);
    site.api.bundle = altered;
    assertRefused(
      await apply({ plan: { ...plan, digest: digestOf(altered) } }),
      'LockFileChanged',
      /lock|provider/i,
    );
  });

  test('by a step that destroys, unless it is the plan of a destruction', async () => {
    assertRefused(await apply({ action: 'destroy', destroy: true }), 'NotADestroyPlan', /destroy: true/);
  });
});
