import type { ProjectSpec } from '../api/project.ts';
import type { TerraformDetails } from '../api/runner.ts';
import { type ProgramContext, ProgramError } from './step-type.ts';

export interface FakeWorkshop {
  projects?: Readonly<Record<string, ProjectSpec>>;
  plans?: Readonly<Record<string, TerraformDetails>>;
  evaluate?: ProgramContext['evaluate'];
}

/** What a program of a test is made from. Grants are not signed: they can be read in the environment. */
export function fakeWorkshop({ projects = {}, plans = {}, evaluate }: FakeWorkshop = {}): ProgramContext {
  return {
    images: {
      script: 'script-image',
      opentofu: 'tofu-image',
      terraform: 'terraform-image',
      ansible: 'ansible-image',
    },
    terraformOf: (row) => plans[row],
    evaluate: evaluate ?? ((field) => ({ error: `${field} is not there` })),
    project(name) {
      const project = projects[name];
      if (project) return project;
      throw new ProgramError('ProjectNotFound', `There is no Project ${name}.`, { passing: true });
    },
    access: () => ({ url: 'https://operator:8443', ca: 'the CA', sign: (grant) => JSON.stringify(grant) }),
  };
}
