import type { AnsibleTask } from '../api/runner.ts';

/** A task of the least that there is, for tests. */
export const fakeAnsibleTask = (parts: Partial<AnsibleTask> = {}): AnsibleTask => ({
  playbook: 'site.yml',
  tags: [],
  skipTags: [],
  extraVars: {},
  check: false,
  diff: false,
  forks: 5,
  ssh: false,
  vault: false,
  ...parts,
});
