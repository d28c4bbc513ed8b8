import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { RUNNER_PATHS, type TerraformTask } from '../api/runner.ts';
import { Log } from './log.ts';
import { createMask } from './mask.ts';
import { setUp } from './terraform-setup.ts';

const root = await mkdtemp(path.join(tmpdir(), 'signalbox-setup-'));
after(() => rm(root, { recursive: true }));

const task: TerraformTask = {
  action: 'plan',
  engine: 'opentofu',
  workspace: 'prod',
  state: 'managed',
  vars: { size: 3 },
  varFiles: ['eu.tfvars'],
  targets: [],
  destroy: false,
  lockTimeout: '5s',
  pluginCache: false,
  projectHash: 'hash',
};

async function settingsFor(change: Partial<TerraformTask>, env: Record<string, string> = {}) {
  const folder = await mkdtemp(path.join(root, 'own-'));
  const code = await mkdtemp(path.join(root, 'code-'));
  const written: string[] = [];
  const log = new Log(
    createMask([]),
    (text) => written.push(text),
    () => 0,
  );
  const setup = await setUp({ task: { ...task, ...change }, env, folder, code, paths: RUNNER_PATHS, log });
  const config: unknown = JSON.parse(await readFile(setup.env['TF_CLI_CONFIG_FILE'] ?? '', 'utf8'));
  return { setup, config, folder, code: await readdir(code), log: written.join('') };
}

describe('what Terraform finds beside the code', () => {
  test('replaces the backend of a managed state, by the last file of all', async () => {
    const { code } = await settingsFor({});
    assert.deepEqual(code, ['zzzzzzzz_signalbox_override.tf.json']);
    assert.deepEqual((await settingsFor({ state: 'external' })).code, []);
  });

  test('are the values, those of the step last', async () => {
    const { setup, folder } = await settingsFor({});
    assert.deepEqual(setup.variables, ['-var-file=eu.tfvars', `-var-file=${folder}/values.tfvars.json`]);
    assert.deepEqual(JSON.parse(await readFile(`${folder}/values.tfvars.json`, 'utf8')), { size: 3 });
    assert.equal(setup.env['TF_VAR_signalbox_workspace'], 'prod');
  });

  test('takes providers from a mirror alone where there is one, and keeps them where it may', async () => {
    const plain = { disable_checkpoint: true };
    assert.deepEqual((await settingsFor({})).config, plain);
    assert.deepEqual((await settingsFor({ mirror: { filesystem: '/providers' } })).config, {
      ...plain,
      provider_installation: [{ filesystem_mirror: [{ path: '/providers' }] }],
    });
    assert.deepEqual(
      (await settingsFor({ mirror: { network: 'https://example.com/p/' }, pluginCache: true })).config,
      {
        ...plain,
        provider_installation: [{ network_mirror: [{ url: 'https://example.com/p/' }] }],
        plugin_cache_dir: '/signalbox/plugins',
      },
    );
  });

  test('are the variables of the Project, but for those that would change what is done or told', async () => {
    const kept = { TF_VAR_size: '3', TF_TOKEN_example_com: 'x', AWS_REGION: 'eu', TF_ENCRYPTION: 'x' };
    const taken = {
      TF_LOG: 'TRACE',
      TF_LOG_PATH: '/tmp/x',
      TF_CLI_ARGS: '-x',
      TF_WORKSPACE: 'x',
      TF_HTTP_ADDRESS: 'x',
    };
    const { setup, log } = await settingsFor({}, { ...kept, ...taken, TF_INPUT: '1' });
    for (const [name, value] of Object.entries(kept)) assert.equal(setup.env[name], value);
    for (const name of Object.keys(taken)) assert.equal(setup.env[name], undefined);
    assert.equal(setup.env['TF_INPUT'], '0');
    assert.match(log, /TF_LOG, TF_LOG_PATH, TF_CLI_ARGS, TF_WORKSPACE, TF_HTTP_ADDRESS\n/);
    assert.equal((await settingsFor({}, kept)).log, '');
  });
});
