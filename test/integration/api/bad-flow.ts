import { byAdmission, bySchema, type BadWorkflow, build, names, scriptStep, step } from './bad-workflow.ts';

/** A spec whose one step calls somebody, with these fields. */
const http = (fields: string) => step(`http: {url: "https://example.com", ${fields}}`);

/** Mistakes about what runs when, and how often. */
export const flow: BadWorkflow[] = [
  bySchema(
    'a branch that names no step',
    '"deplyo" in condition.then of step "check" must be the name of exactly one step',
    `{steps: [{name: check, condition: {if: "true", then: [deplyo]}}, {name: deploy, script: {bash: make}}]}`,
  ),
  bySchema(
    'an else that names no step',
    '"deplyo" in condition.else of step "check" must be the name of exactly one step',
    `{steps: [{name: check, condition: {if: "true", else: [deplyo]}}, {name: deploy, script: {bash: make}}]}`,
  ),
  bySchema(
    'a condition in finally',
    'unknown field "spec.finally[0].condition"',
    `{steps: [${build}], finally: [{name: check, condition: {if: "true"}}]}`,
  ),
  bySchema(
    'a condition with forEach',
    '"build" is a condition, which can not have forEach',
    step('condition: {if: "true"}, forEach: {items: [a]}'),
  ),
  byAdmission(
    'a step in two branches',
    'names deploy, which is in the branch then of check already',
    `{steps: [{name: check, condition: {if: "true", then: [deploy], else: [deploy]}}, {name: deploy, script: {bash: make}}]}`,
  ),
  byAdmission(
    'a step in a branch that does not wait for its condition',
    'does not wait for check, in whose branch then the step is: add check',
    `{steps: [{name: check, condition: {if: "true", then: [deploy]}}, {name: deploy, dependsOn: [], script: {bash: make}}]}`,
  ),
  byAdmission(
    'a condition that reads what comes after it',
    'reads step deploy, which need not have ended when this step starts',
    `{steps: [{name: check, condition: {if: 'steps.deploy.phase == "Succeeded"', then: [deploy]}}, {name: deploy, script: {bash: make}}]}`,
  ),
  byAdmission(
    'text added to a number',
    '+ does not work on (string, number): convert with int(), double() or string()',
    `{params: [{name: count, type: number}], steps: [{name: build, when: '"a" + params.count == "a1"', script: {bash: make}}]}`,
  ),
  byAdmission(
    'a number compared with text',
    'compares params.count with "3", a number with a string, which are never equal',
    `{params: [{name: count, type: number}], steps: [{name: build, when: 'params.count == "3"', script: {bash: make}}]}`,
  ),
  byAdmission(
    'a condition that is no question',
    'gives a number, and what is needed here is a boolean',
    `{params: [{name: count, type: number}], steps: [{name: build, when: params.count, script: {bash: make}}]}`,
  ),
  byAdmission(
    'an output that the step does not have',
    'reads steps.ok.outputs.tikcet, which does not exist: there is ticket. Did you mean ticket?',
    `{steps: [{name: ok, approval: {approvers: ["user:jane"], fields: [{name: ticket}]}}, {name: build, when: 'steps.ok.outputs.tikcet != ""', script: {bash: make}}]}`,
  ),
  bySchema(
    'forEach without a list',
    'exactly one of items and expression must be set',
    scriptStep('forEach: {maxParallel: 2}'),
  ),
  bySchema(
    'forEach with both lists',
    'exactly one of items and expression must be set',
    scriptStep('forEach: {items: [a], expression: params.list}'),
  ),
  bySchema(
    'too many items',
    'spec.steps[0].forEach.items: Too many: 257: must have at most 256 items',
    scriptStep(`forEach: {items: [${names(257)}]}`),
  ),
  byAdmission(
    'an expression among the items',
    'is taken as it stands, without ${{ }}: use forEach.expression',
    scriptStep('forEach: {items: ["${{ run.name }}"]}'),
  ),
  byAdmission(
    'item where there is none',
    'reads item, which is not known here',
    step('script: {bash: make, env: {A: "${{ item }}"}}'),
  ),
  bySchema(
    'an unknown concurrency policy',
    'supported values: "Queue", "Allow", "Forbid", "Replace"',
    `{steps: [${build}], concurrency: {policy: Wait}}`,
  ),
  byAdmission(
    'a concurrency key that reads a step',
    'reads step build, which never ends before this step starts',
    `{steps: [${build}], concurrency: {key: "\${{ steps.build.outputs.x }}"}}`,
  ),
  byAdmission(
    'an output that reads a step which is not there',
    'reads step biuld, which does not exist. Did you mean build?',
    `{steps: [${build}], outputs: {version: steps.biuld.outputs.version}}`,
  ),
  bySchema(
    'a retry on something unknown',
    'spec.steps[0].retry.causes[0] in body should match',
    scriptStep('retry: {limit: 1, causes: [Timeout]}'),
  ),
  bySchema(
    'a field named on, which YAML takes for true',
    'unknown field "spec.steps[0].retry.true"',
    scriptStep('retry: {limit: 1, on: [Error]}'),
  ),
  byAdmission(
    'a workflow that runs itself',
    'would have bad run itself without end: bad runs bad',
    step('workflow: {name: bad}'),
  ),
];

/** Mistakes about what is sent to others. */
export const calls: BadWorkflow[] = [
  bySchema(
    'an address of another kind',
    'spec.steps[0].http.url in body should match',
    step('http: {url: "ftp://example.com"}'),
  ),
  bySchema('an impossible status', 'must be a status such as 200', http('expectedStatus: [600]')),
  bySchema('a header with a space in its name', '"a b" is no name of a header', http('headers: {"a b": c}')),
  bySchema(
    'an output with a hyphen',
    '"a-b" is no name of an output',
    http('outputs: {a-b: response.status}'),
  ),
  bySchema('a CA from nowhere', 'exactly one of secret and configMap must be set', http('caFrom: {}')),
  bySchema('a body without a method', 'needs a method that sends it', http('json: {a: 1}')),
  bySchema(
    'two bodies',
    'at most one of body, json and form can be set',
    http('method: POST, json: {a: 1}, body: b'),
  ),
  byAdmission(
    'an expectation that reads nothing known',
    'reads respones, which is not known here',
    http('expect: respones.status == 200'),
  ),
  bySchema(
    'a message to nowhere',
    'exactly one of channel and webhook must be set',
    step('slack: {message: hello}'),
  ),
  bySchema(
    'a webhook with a token',
    'token and webhook can not both be set',
    step('slack: {webhook: {name: a, key: b}, token: {name: a, key: b}}'),
  ),
  bySchema(
    'a text that is kept up to date',
    'update goes with a channel and without message',
    step('slack: {channel: "#a", message: hello, update: true}'),
  ),
];
