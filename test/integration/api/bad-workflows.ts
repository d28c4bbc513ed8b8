import {
  byAdmission,
  bySchema,
  type BadWorkflow,
  build,
  names,
  param,
  pod,
  script,
  scriptStep,
  step,
  steps,
  workflow,
} from './bad-workflow.ts';
import { calls, flow } from './bad-flow.ts';
import { approvals } from './bad-approval.ts';
import { infrastructure } from './bad-infrastructure.ts';
import { triggerMistakes } from './bad-trigger.ts';

const structure: BadWorkflow[] = [
  {
    ...bySchema('no spec', 'spec: Required value', ''),
    yaml: '{apiVersion: signalbox.dev/v1alpha1, kind: Workflow, metadata: {name: bad}}',
  },
  {
    ...bySchema('a name that is no DNS name', 'a lowercase RFC 1123 subdomain must consist of', ''),
    yaml: workflow(`{steps: [${build}]}`, 'Nightly_Build'),
  },
  bySchema('no steps', 'spec.steps: Required value', '{}'),
  bySchema('an empty list of steps', 'spec.steps in body should have at least 1 items', '{steps: []}'),
  bySchema(
    'too many steps',
    'spec.steps: Too many: 501: must have at most 500 items',
    `{steps: [${steps(501)}]}`,
  ),
  bySchema('an unknown field', 'unknown field "spec.retries"', `{steps: [${build}], retries: 3}`),
  bySchema('a misspelt field', 'unknown field "spec.steps[0].scirpt"', step('scirpt: {bash: make}')),
  bySchema(
    'an unknown state',
    'supported values: "Active", "Paused", "Draft"',
    `{steps: [${build}], state: Enabled}`,
  ),
];

const graph: BadWorkflow[] = [
  bySchema(
    'a step without a name',
    'spec.steps[0].name: Required value',
    '{steps: [{script: {bash: make}}]}',
  ),
  bySchema(
    'a step name with capitals',
    `"Build_All" must consist of lower-case letters, digits and '-'`,
    '{steps: [{name: Build_All, script: {bash: make}}]}',
  ),
  bySchema(
    'a step name that is too long',
    'spec.steps[0].name: Too long: may not be more than 63',
    `{steps: [{name: ${'a'.repeat(64)}, script: {bash: make}}]}`,
  ),
  bySchema(
    'two steps of the same name',
    'spec.steps[1]: Duplicate value: {"name":"build"}',
    `{steps: [${build}, ${build}]}`,
  ),
  bySchema(
    'a name in both steps and finally',
    'spec.finally: Invalid value: "object": "build" must be the name of one step only, and is both in steps and in finally: rename one of the two',
    `{steps: [${build}], finally: [${build}]}`,
  ),
  bySchema(
    'a dependency that is no step',
    '"biuld" in dependsOn of step "test" must be the name of exactly one step: correct or remove it',
    `{steps: [${build}, {name: test, dependsOn: [biuld], script: {bash: make test}}]}`,
  ),
  bySchema(
    'a step that waits for itself',
    'spec.steps[0].dependsOn: Invalid value: "object": "build" can not wait for itself',
    scriptStep('dependsOn: [build]'),
  ),
  bySchema(
    'a dependency named twice',
    'spec.steps[1].dependsOn[1]: Duplicate value: "build"',
    `{steps: [${build}, {name: test, dependsOn: [build, build], script: {bash: make test}}]}`,
  ),
  bySchema(
    'too many dependencies',
    'spec.steps[257].dependsOn: Too many: 257: must have at most 256 items',
    `{steps: [${steps(257)}, {name: test, dependsOn: [${names(257)}], script: {bash: make test}}]}`,
  ),
  bySchema(
    'dependsOn in finally, where order is that of the list',
    'unknown field "spec.finally[0].dependsOn"',
    `{steps: [${build}], finally: [{name: clean, dependsOn: [build], script: {bash: make clean}}]}`,
  ),
  bySchema(
    'an unknown runIf',
    'supported values: "Success", "Failure", "Always"',
    scriptStep('runIf: OnFailure'),
  ),
  byAdmission(
    'a cycle',
    'makes steps wait for each other: build waits for test waits for build',
    `{steps: [{name: build, dependsOn: [test], script: {bash: make}}, {name: test, dependsOn: [build], script: {bash: make test}}]}`,
  ),
];

const scripts: BadWorkflow[] = [
  bySchema(
    'a step that does nothing',
    '"build" must set exactly one of these, to say what the step does: terraform, ansible, script',
    '{steps: [{name: build}]}',
  ),
  bySchema(
    'two languages',
    'exactly one of bash, python and node must be set',
    script('bash: make, node: make()'),
  ),
  bySchema('no language', 'exactly one of bash, python and node must be set', script('image: debian')),
  bySchema(
    'an empty script',
    'spec.steps[0].script.bash in body should be at least 1 chars long',
    script("bash: ''"),
  ),
  bySchema(
    'a script of more than 64 KiB',
    'spec.steps[0].script.bash: Too long: may not be more than 65536',
    script(`bash: ${'a'.repeat(65_537)}`),
  ),
  bySchema(
    'a variable that no shell can read',
    '"API-URL" can not be the name of a variable: use at most 128 letters, digits and',
    script("bash: make, env: {API-URL: 'https://example.com'}"),
  ),
  bySchema(
    'a variable that is ours',
    '"SIGNALBOX_OUTPUT" can not be the name of a variable',
    script('bash: make, env: {SIGNALBOX_OUTPUT: /tmp/o}'),
  ),
  bySchema(
    'a variable both in env and in secrets',
    '"TOKEN" is both in env and in secrets: remove one of the two',
    script('bash: make, env: {TOKEN: a}, secrets: {TOKEN: {name: api, key: token}}'),
  ),
  bySchema(
    'a variable that is a number',
    'spec.steps[0].script.env.REPLICAS: Invalid value: "integer": spec.steps[0].script.env.REPLICAS in body must be of type string',
    script('bash: make, env: {REPLICAS: 3}'),
  ),
  bySchema(
    'a Secret without a key',
    'spec.steps[0].script.secrets.TOKEN.key: Required value',
    script('bash: make, secrets: {TOKEN: {name: api}}'),
  ),
  bySchema(
    'an image with a space in it',
    '"debian trixie" must be an image reference',
    script("bash: make, image: 'debian trixie'"),
  ),
];

const times: BadWorkflow[] = [
  bySchema(
    'a timeout in words',
    '"10 minutes" must be a duration in h, m, s and ms such as 30s, 5m or 1h30m, from 1s to 8760h',
    scriptStep('timeout: 10 minutes'),
  ),
  bySchema(
    'a timeout without a unit',
    'spec.steps[0].timeout in body must be of type string',
    scriptStep('timeout: 30'),
  ),
  bySchema(
    'a timeout of nothing',
    'spec.timeout: Invalid value: "string": "0s" must be a duration',
    `{timeout: 0s, steps: [${build}]}`,
  ),
  bySchema('a timeout of more than a year', '"9000h" must be a duration', scriptStep('timeout: 9000h')),
  bySchema(
    'a negative time to live',
    'spec.retention.ttl: Invalid value: "string": "-1h" must be a duration',
    `{steps: [${build}], retention: {ttl: -1h}}`,
  ),
  bySchema(
    'a negative number of runs to keep',
    'spec.retention.failed in body should be greater than or equal to 0',
    `{steps: [${build}], retention: {failed: -1}}`,
  ),
  bySchema('a retry without a limit', 'spec.steps[0].retry.limit: Required value', scriptStep('retry: {}')),
  bySchema(
    'too many retries',
    'spec.steps[0].retry.limit in body should be less than or equal to 20',
    scriptStep('retry: {limit: 100}'),
  ),
  bySchema(
    'a first wait that is longer than the longest',
    'spec.steps[0].retry.backoff.initial: Invalid value: "object": initial must not be longer than max',
    scriptStep('retry: {limit: 2, backoff: {initial: 10m, max: 1m}}'),
  ),
];

const pods: BadWorkflow[] = [
  bySchema(
    'a quantity in words',
    '"2 cores" must be a quantity such as 250m, 2 or 512Mi',
    pod('resources: {requests: {cpu: 2 cores}}'),
  ),
  bySchema(
    'a request above the limit',
    '"memory" is requested above its limit: lower the request or raise the limit',
    pod('resources: {requests: {memory: 2Gi}, limits: {memory: 512Mi}}'),
  ),
  bySchema(
    'a service account that can not exist',
    "spec.podDefaults.serviceAccountName in body should match '^[a-z0-9]",
    pod('serviceAccountName: Deployer'),
  ),
  bySchema(
    'a toleration of a value by Exists',
    'operator Exists takes no value: remove value, or use operator Equal',
    pod('tolerations: [{key: gpu, operator: Exists, value: a100}]'),
  ),
  bySchema(
    'a toleration of nothing',
    'a toleration without key needs operator Exists',
    pod('tolerations: [{effect: NoSchedule}]'),
  ),
  bySchema(
    'a toleration for a time of a taint that evicts nobody',
    'tolerationSeconds goes with effect NoExecute only',
    pod('tolerations: [{key: gpu, effect: NoSchedule, tolerationSeconds: 30}]'),
  ),
  bySchema(
    'a setting that is not for users',
    'unknown field "spec.podDefaults.hostNetwork"',
    pod('hostNetwork: true'),
  ),
];

const params: BadWorkflow[] = [
  bySchema(
    'a parameter that expressions can not read',
    `"git-ref" must consist of letters, digits and '_', and not start with a digit`,
    param('name: git-ref'),
  ),
  bySchema(
    'a parameter of an unknown type',
    'supported values: "string", "number", "boolean"',
    param('name: a, type: int'),
  ),
  bySchema(
    'two parameters of the same name',
    'spec.params[1]: Duplicate value: {"name":"a"}',
    `{steps: [${build}], params: [{name: a}, {name: a}]}`,
  ),
  bySchema(
    'a required parameter with a default',
    '"region" is required and takes no default: remove one of the two',
    param('name: region, required: true, default: eu'),
  ),
  bySchema(
    'a pattern for a number',
    'pattern goes with type string only',
    param('name: a, type: number, pattern: "[0-9]+"'),
  ),
  bySchema(
    'a boolean in quotes',
    '"dry" is boolean: its default must be true or false, without quotes',
    param('name: dry, type: boolean, default: "true"'),
  ),
  bySchema(
    'a list as a default',
    'spec.params[0].default: Too many: 1: must have at most 0 items',
    param('name: a, default: [x]'),
  ),
  byAdmission(
    'a default of another type',
    'must be a number, and "3" is a string: write it without quotes',
    param('name: replicas, type: number, default: "3"'),
  ),
  byAdmission(
    'a default that is not allowed',
    'must be one of "eu", "us", and is "mars"',
    param('name: region, enum: [eu, us], default: mars'),
  ),
  byAdmission(
    'a pattern that is no regular expression',
    'is no regular expression in RE2 syntax',
    param('name: a, pattern: "["'),
  ),
];

const expressions: BadWorkflow[] = [
  bySchema(
    'an empty expression',
    'spec.steps[0].when in body should be at least 1 chars long',
    scriptStep("when: ''"),
  ),
  bySchema(
    'an expression that is no text',
    'spec.steps[0].when in body must be of type string',
    scriptStep('when: true'),
  ),
  bySchema(
    'an expression that is too long',
    'spec.steps[0].when: Too long: may not be more than 1024',
    scriptStep(`when: '${'a'.repeat(1025)}'`),
  ),
  byAdmission(
    'an expression with a syntax error',
    'is not a CEL expression',
    scriptStep("when: 'params.a =='"),
  ),
  byAdmission('an unknown variable', 'reads param, which is not known', scriptStep("when: 'param.a == 1'")),
  byAdmission(
    'an undeclared parameter',
    'reads params.region, which the workflow does not declare: add it to spec.params',
    scriptStep('when: \'params.region == "eu"\''),
  ),
  byAdmission(
    'an output of a step that comes later',
    'reads step test, which need not have ended when this step starts: add test to dependsOn',
    `{steps: [{name: build, when: 'steps.test.outputs.ok == "1"', script: {bash: make}}, {name: test, script: {bash: make test}}]}`,
  ),
  byAdmission(
    'a template that is not closed',
    'has a ${{ without its }}: close it',
    script("bash: make, env: {A: '${{ params.a'}"),
  ),
];

/** The mistakes that Signalbox is judged by, in the order of the reference. */
export const badWorkflows: readonly BadWorkflow[] = [
  ...structure,
  ...graph,
  ...scripts,
  ...times,
  ...pods,
  ...params,
  ...expressions,
  ...flow,
  ...calls,
  ...infrastructure,
  ...approvals,
  ...triggerMistakes,
];
