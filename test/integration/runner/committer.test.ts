import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Repository } from './repository.ts';
import { TerraformSite } from './terraform-site.ts';

// Somebody who may commit, and nothing else, wants more than that their code is planned: a program that git runs, or
// settings of OpenTofu that are not those of the Project. checkout.test.ts tries to lead out of the repository.

const MAIN = 'resource "time_static" "a" {}\noutput "word" { value = "done" }\n';
const apply = { action: 'apply' } as const;

describe('what a committer puts beside the code', () => {
  let site: TerraformSite;
  let touched: string;
  let evil: string;
  before(async () => {
    site = await TerraformSite.start('opentofu');
    touched = path.join(site.site.folder, 'touched');
    evil = `#!/bin/sh\ntouch ${touched}\ncat\n`;
  });
  after(() => site[Symbol.asyncDispose]());

  /** Commits files beside the code, all of them programs. */
  function commit(files: Record<string, string>): void {
    site.code(MAIN, files);
    const { repository } = site.site;
    repository.git('update-index', '--chmod=+x', ...Object.keys(files));
    repository.git('commit', '--quiet', '--amend', '--no-edit');
  }

  async function assertHarmless(): Promise<string> {
    const { report, log } = await site.run(apply);
    assert.deepEqual(report.outputs, { word: 'done' }, log);
    assert.ok(!existsSync(touched), log);
    return log;
  }

  const hooks = ['post-checkout', 'post-merge', 'reference-transaction', 'pre-commit', 'fsmonitor-watchman'];

  test('no hook of the repository is run', async () => {
    commit({
      '.gitconfig': '[core]\n\thooksPath = .githooks\n\tfsmonitor = .githooks/fsmonitor-watchman\n',
      ...Object.fromEntries(
        hooks.flatMap((hook) => [
          [`.githooks/${hook}`, evil],
          [`hooks/${hook}`, evil],
        ]),
      ),
    });
    await assertHarmless();
  });

  test('no filter, driver or program that attributes name is run', async () => {
    commit({
      '.gitattributes': '* filter=evil diff=evil merge=evil\n*.tf ident export-subst\n',
      '.gitconfig': `[filter "evil"]\n\tsmudge = ${evil}\n\tprocess = ${evil}\n\trequired = true\n`,
      'evil.sh': evil,
    });
    await assertHarmless();
  });

  test('no program that .gitmodules names as the way to update is run', async () => {
    const other = new Repository(path.join(site.site.folder, 'module'));
    other.commit({
      'README.md': 'a module',
      ...Object.fromEntries(hooks.map((hook) => [`hooks/${hook}`, evil])),
    });
    site.code(MAIN);
    const { repository } = site.site;
    repository.git('submodule', '--quiet', 'add', '../module', 'sub');
    repository.git('config', '--file', '.gitmodules', 'submodule.sub.update', `!touch ${touched}`);
    repository.git('add', '.gitmodules');
    repository.git('commit', '--quiet', '--message=evil');
    site.api.commit = undefined;
    const { report, log } = await site.run(apply, { source: { submodules: true } });
    // Git refuses such a file as a whole.
    assert.notEqual(report.reason, 'Completed', log);
    assert.ok(!existsSync(touched), log);
  });

  test('no settings of OpenTofu are read from the repository', async () => {
    const settings = `provider_installation {\n  dev_overrides {\n    "hashicorp/time" = "${site.site.folder}"\n  }\n  direct {}\n}\n`;
    commit({ '.terraformrc': settings, '.tofurc': settings, 'terraform.rc': settings, 'tofu.rc': settings });
    const log = await assertHarmless();
    assert.doesNotMatch(log, /[Dd]evelopment overrides|dev_overrides/);
  });
});
