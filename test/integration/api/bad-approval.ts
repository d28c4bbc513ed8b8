import { byAdmission, bySchema, type BadWorkflow, step } from './bad-workflow.ts';

const approval = (fields: string, beside = '') => step(`approval: {${fields}}${beside}`);
const asked = 'approvers: ["team:platform"]';
const destroyed = (more: string) =>
  `{steps: [{name: plan, terraform: {project: api, action: plan, destroy: true}}${more}, {name: gone, terraform: {project: api, action: destroy, plan: plan}}]}`;

/** Mistakes about approvals, and about what must not happen without one. */
export const approvals: BadWorkflow[] = [
  bySchema(
    'an approval by nobody',
    'spec.steps[0].approval.approvers: Required value',
    approval('required: 1'),
  ),
  bySchema(
    'an empty list of approvers',
    'spec.steps[0].approval.approvers in body should have at least 1',
    approval('approvers: []'),
  ),
  bySchema(
    'an approver of no kind',
    'spec.steps[0].approval.approvers[0] in body should match',
    approval('approvers: [jane]'),
  ),
  bySchema(
    'an approval without a vote',
    'spec.steps[0].approval.required in body should be greater than or equal to 1',
    approval(`${asked}, required: 0`),
  ),
  bySchema('an approval that waits for ever', 'must be a duration', approval(`${asked}, timeout: for ever`)),
  bySchema(
    'an approval that is tried again',
    '"build" is an approval, which can not have forEach, retry, timeout or continueOnError',
    approval(asked, ', retry: {limit: 1}'),
  ),
  bySchema(
    'an approval in finally',
    'unknown field "spec.finally[0].approval"',
    `{steps: [{name: build, script: {bash: make}}], finally: [{name: ok, approval: {${asked}}}]}`,
  ),
  bySchema(
    'a rejection that names no step',
    '"tel" in approval.onReject of step "build" must be the name of exactly one step',
    approval(`${asked}, onReject: [tel]`),
  ),
  byAdmission(
    'more approvals than people',
    'is 2, and only 1 people are asked',
    approval('approvers: ["user:jane"], required: 2'),
  ),
  byAdmission(
    'an approval of what is no plan',
    'names build, which makes no plan',
    `{steps: [{name: build, script: {bash: make}}, {name: ok, approval: {${asked}, plan: build}}]}`,
  ),
  byAdmission(
    'a destruction without an approval',
    'destroy needs an approval between plan and gone',
    destroyed(''),
  ),
  byAdmission(
    'a destruction whose approval may be left out',
    'destroy needs an approval between plan and gone',
    destroyed(`, {name: ok, when: "false", approval: {${asked}}}`),
  ),
];
