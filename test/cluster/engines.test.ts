import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { suite, test } from 'node:test';
import { run } from './command.ts';
import { providerMirror, timeProviderVersion } from './provider-mirror.ts';
import { silent } from './report.ts';
import { ensureTool } from './tools.ts';

const configuration = `
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
resource "time_static" "start" {
  rfc3339 = "2026-01-02T03:04:05Z"
}
output "hour" {
  value = time_static.start.hour
}
`;

/** What the engines print, as far as it is looked at here. */
interface Version {
  terraform_version: string;
  provider_selections: Record<string, string>;
}

suite('the engines and the mirror of providers', () => {
  const engines = [
    { name: 'opentofu', version: '1.12.6', registry: 'registry.opentofu.org' },
    { name: 'terraform', version: '1.13.3', registry: 'registry.terraform.io' },
  ] as const;
  for (const { name, version, registry } of engines) {
    test(`${name} ${version} applies with a provider from the mirror`, async () => {
      const program = await ensureTool(name, silent);
      const mirror = await providerMirror(silent);
      const folder = await mkdtemp(path.join(os.tmpdir(), 'signalbox-engine-'));
      try {
        const settings = path.join(folder, 'settings.tfrc');
        await writeFile(
          settings,
          `provider_installation {\n  filesystem_mirror {\n    path = "${mirror}"\n  }\n}\n`,
        );
        await writeFile(path.join(folder, 'main.tf'), configuration);
        const env = { TF_CLI_CONFIG_FILE: settings, CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1' };
        const engine = (...args: string[]) => run([program, `-chdir=${folder}`, ...args], { env });
        await engine('init', '-input=false');
        const provider = `${registry}/hashicorp/time`;
        const told = JSON.parse(await engine('version', '-json')) as Version;
        assert.equal(told.terraform_version, version);
        assert.deepEqual(told.provider_selections, { [provider]: timeProviderVersion });
        await engine('apply', '-input=false', '-auto-approve');
        assert.equal(await engine('output', '-json', 'hour'), '3\n');
        assert.match(await readFile(path.join(folder, '.terraform.lock.hcl'), 'utf8'), /"h1:[\w+/]{43}="/);
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }
});
