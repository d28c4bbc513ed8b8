import * as z from 'zod';
import type { TerraformDetails } from '../api/runner.ts';

type Change = NonNullable<TerraformDetails['changes']>[number];
type Action = Change['action'];

const change = z.object({
  actions: z.array(z.string()),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
  before_sensitive: z.unknown().optional(),
  after_sensitive: z.unknown().optional(),
  importing: z.unknown().optional(),
});
const resourceChange = z.object({
  address: z.string(),
  previous_address: z.string().optional(),
  change,
});

/** The part of `show -json PLAN` that we read; the format is the same in Terraform and OpenTofu. */
export const planJson = z.object({
  variables: z.record(z.string(), z.object({ value: z.unknown().optional() })).default({}),
  resource_changes: z.array(resourceChange).default([]),
  output_changes: z.record(z.string(), change).default({}),
  configuration: z
    .object({
      root_module: z
        .object({
          variables: z.record(z.string(), z.object({ sensitive: z.boolean().optional() })).optional(),
        })
        .optional(),
    })
    .optional(),
});
export type PlanJson = z.infer<typeof planJson>;

/** The changes that nobody should overlook come first. */
const ORDER: readonly Action[] = [
  'replace',
  'delete',
  'update',
  'create',
  'import',
  'forget',
  'move',
  'read',
];

/** What a plan would do to each resource, without those that stay as they are. */
export function changesOf(plan: PlanJson): Change[] {
  const changes = plan.resource_changes.flatMap((resource) => {
    const action = actionOf(resource);
    return action === undefined ? [] : [{ address: resource.address, action }];
  });
  return sorted(changes);
}

export function sorted(changes: Change[]): Change[] {
  return changes.sort((a, b) => ORDER.indexOf(a.action) - ORDER.indexOf(b.action));
}

function actionOf({
  address,
  previous_address,
  change,
}: PlanJson['resource_changes'][number]): Action | undefined {
  const actions = new Set(change.actions);
  if (actions.has('create')) return actions.has('delete') ? 'replace' : 'create';
  if (actions.has('update')) return 'update';
  if (actions.has('delete')) return 'delete';
  if (actions.has('forget')) return 'forget';
  if (isImport(change)) return 'import';
  if (actions.has('read')) return 'read';
  return previous_address !== undefined && previous_address !== address ? 'move' : undefined;
}

const isImport = ({ importing }: PlanJson['resource_changes'][number]['change']) =>
  importing !== undefined && importing !== null;

/** Addresses of what the plan imports. */
export function importsOf(plan: PlanJson): string[] {
  return plan.resource_changes.filter(({ change }) => isImport(change)).map(({ address }) => address);
}

/** Counts as Terraform does in its last line: what is replaced counts as one added and one destroyed. */
export function countPlan(plan: PlanJson): TerraformDetails {
  const changes = changesOf(plan);
  const count = (...actions: Action[]) => changes.filter(({ action }) => actions.includes(action)).length;
  const outputs = Object.values(plan.output_changes).filter(({ actions }) => !actions.includes('no-op'));
  return {
    add: count('create', 'replace'),
    change: count('update'),
    destroy: count('delete', 'replace'),
    import: importsOf(plan).length,
    replace: count('replace'),
    outputs: outputs.length,
    changes,
  };
}

/**
 * All texts in the plan that Terraform calls sensitive, so that they can be hidden where it does not: in what a
 * provider or a provisioner prints.
 */
export function* sensitiveTexts(plan: PlanJson): Generator<string> {
  const declared = plan.configuration?.root_module?.variables ?? {};
  for (const [name, { value }] of Object.entries(plan.variables)) {
    if (declared[name]?.sensitive === true) yield* textsOf(value);
  }
  const changes = [
    ...plan.resource_changes.map(({ change }) => change),
    ...Object.values(plan.output_changes),
  ];
  for (const { before, after, before_sensitive, after_sensitive } of changes) {
    yield* marked(before, before_sensitive);
    yield* marked(after, after_sensitive);
  }
}

/** @param marks `true` where the value is sensitive, or the same shape with `true` where it is */
function* marked(value: unknown, marks: unknown): Generator<string> {
  if (marks === true) {
    yield* textsOf(value);
  } else if (typeof value === 'object' && value !== null && typeof marks === 'object' && marks !== null) {
    const within = marks as Readonly<Record<string, unknown>>;
    for (const [name, member] of Object.entries(value)) yield* marked(member, within[name]);
  }
}

function* textsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) yield* textsOf(member);
  }
}
