import type { TerraformDetails } from '../api/runner.ts';

/** What a plan would do, as `3 to add, 1 to change, 0 to destroy`. */
export function summarizePlan(details: TerraformDetails): string {
  if (isEmpty(details)) return 'No changes';
  const outputs = plural(details.outputs, 'output');
  if (isAboutOutputs(details)) return `No changes to resources, ${outputs} to change`;
  const { add, change, destroy } = details;
  return `${add} to add, ${change} to change, ${destroy} to destroy${more(details, 'to ')}`;
}

/** What was done, as `3 added, 1 changed, 0 destroyed`. */
export function summarizeApply(details: TerraformDetails): string {
  const outputs = plural(details.outputs, 'output');
  if (isAboutOutputs(details)) return `No changes to resources, ${outputs} changed`;
  const { add, change, destroy } = details;
  return `${add} added, ${change} changed, ${destroy} destroyed${more(details, '')}`;
}

/** Imports and the like are said where there are any. */
function more(details: TerraformDetails, to: 'to ' | ''): string {
  const ending = to === '' ? 'd' : '';
  const others = [
    [details.import, to === '' ? 'imported' : 'to import'],
    [countOf(details, 'move'), `${to}move${ending}`],
    [countOf(details, 'forget'), to === '' ? 'forgotten' : 'to forget'],
  ] as const;
  const said = others.filter(([count]) => count > 0).map(([count, words]) => `, ${count} ${words}`);
  return `${details.replace > 0 ? ` (${details.replace} replaced)` : ''}${said.join('')}`;
}

function isEmpty(details: TerraformDetails): boolean {
  return details.outputs === 0 && hasNoResources(details);
}

function isAboutOutputs(details: TerraformDetails): boolean {
  return details.outputs > 0 && hasNoResources(details);
}

function hasNoResources({ add, change, destroy, import: imported, changes = [] }: TerraformDetails): boolean {
  const others = changes.filter(({ action }) => action !== 'read');
  return add + change + destroy + imported === 0 && others.length === 0;
}

const countOf = ({ changes = [] }: TerraformDetails, wanted: string) =>
  changes.filter(({ action }) => action === wanted).length;

const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
