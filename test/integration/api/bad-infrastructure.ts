import { byAdmission, bySchema, type BadWorkflow, step } from './bad-workflow.ts';

const terraform = (fields: string) => step(`terraform: {project: api, ${fields}}`);
const ansible = (fields: string) => step(`ansible: {project: site, ${fields}}`);
const planned = (apply: string) =>
  `{steps: [{name: plan, terraform: {project: api, action: plan}}, {name: apply, terraform: {project: api, ${apply}}}]}`;
const project = (title: string, message: string, spec: string): BadWorkflow => ({
  title,
  yaml: `{apiVersion: signalbox.dev/v1alpha1, kind: Project, metadata: {name: bad}, spec: ${spec}}`,
  refusedBy: 'schema',
  message,
});
const git = (fields: string) => `{git: {url: "https://git.example.com/a.git", ${fields}}}`;

/** Mistakes about Terraform, Ansible and the Projects that they work on. */
export const infrastructure: BadWorkflow[] = [
  bySchema('an apply without a plan', 'apply needs the plan that it carries out', terraform('action: apply')),
  bySchema(
    'an apply of a plan that nobody may look at',
    'apply needs the plan that it carries out',
    planned('action: apply, plan: plan, autoApprove: true'),
  ),
  bySchema(
    'a destruction without a plan',
    'destroy needs a plan that was made for it',
    terraform('action: destroy'),
  ),
  bySchema(
    'a destruction without a look',
    'destroy needs a plan that was made for it',
    terraform('action: destroy, autoApprove: true'),
  ),
  bySchema(
    'a plan of a plan',
    'plan and autoApprove go with action apply',
    planned('action: plan, plan: plan'),
  ),
  bySchema(
    'values beside a plan',
    'a step that carries out a plan takes no vars and targets',
    planned('action: apply, plan: plan, vars: {a: 1}'),
  ),
  bySchema(
    'a variable with a space',
    'spec.steps[0].terraform.vars: Invalid value: "object": a name of a variable must',
    terraform('action: plan, vars: {"a b": 1}'),
  ),
  bySchema(
    'a project with a capital letter',
    'spec.steps[0].terraform.project in body should match',
    step('terraform: {project: API, action: plan}'),
  ),
  byAdmission(
    'a plan that is not there',
    'names pln, which is no step. Did you mean plan?',
    planned('action: apply, plan: pln'),
  ),
  byAdmission(
    'a plan of another project',
    'which plans project api, and apply works on web: they must be the same',
    '{steps: [{name: plan, terraform: {project: api, action: plan}}, {name: apply, terraform: {project: web, action: apply, plan: plan}}]}',
  ),
  byAdmission(
    'a destruction by a plan that is none',
    'plans no destruction: set destroy: true there',
    planned('action: destroy, plan: plan'),
  ),
  bySchema(
    'a playbook outside of the project',
    'must stay inside the project: the playbook can not have .. in it',
    ansible('playbook: a/../../site.yml'),
  ),
  bySchema(
    'an inventory from two places',
    'exactly one of inline, file and groups must be set',
    ansible('playbook: site.yml, inventory: {inline: web1, file: hosts}'),
  ),
  bySchema(
    'a limit that is an option',
    'spec.steps[0].ansible.limit in body should match',
    ansible('playbook: site.yml, limit: "--ask-pass"'),
  ),
  project(
    'a password in an address',
    'put them into a Secret',
    '{git: {url: "https://me:secret@git.example.com/a.git"}}',
  ),
  project(
    'an address that is an option',
    'must be an address such as',
    '{git: {url: "--upload-pack=touch /tmp/x"}}',
  ),
  project('an address with a program in it', 'must be an address such as', '{git: {url: "ext::sh -c x"}}'),
  project(
    'an address of a host that is an option',
    'must be an address such as',
    '{git: {url: "ssh://-oProxyCommand=x/a"}}',
  ),
  project(
    'a ref that is an option',
    'must be the name of a branch or tag',
    git('ref: "--upload-pack=touch /tmp/x"'),
  ),
  project('a ref with two dots', 'must be the name of a branch or tag', git('ref: a..b')),
  project('a path that leads out', 'must stay inside the project', git('path: ../other')),
  project(
    'providers from two places',
    'exactly one of path, url and claim must be set',
    '{git: {url: "https://git.example.com/a.git"}, terraform: {providerMirror: {path: /a, claim: b}}}',
  ),
  project(
    'a variable of the runner',
    'names that start with SIGNALBOX_ are taken',
    '{git: {url: "https://git.example.com/a.git"}, env: {SIGNALBOX_TASK: x}}',
  ),
];
