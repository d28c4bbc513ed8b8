import type { TerraformDetails } from '../api/runner.ts';
import type { Message, Outputs } from './terraform-messages.ts';
import { sorted } from './terraform-plan-json.ts';

type Changes = NonNullable<TerraformDetails['changes']>;

/** Actions of a finished change, and what they are called in the list of changes. */
const ACTIONS = { create: 'create', update: 'update', delete: 'delete' } as const;

/** What an apply did that it sends no message about. */
export interface Unsaid {
  /** Outputs that changed. */
  outputs: number;
  /** Resources that were imported. */
  imported: number;
  /** Imports, moves and the like, for the list of changes. */
  changes: Changes;
}

/** Counts what was applied, from the messages: also when the rest fails. */
export class Applied {
  /** All outputs, once everything is applied. */
  outputs: Outputs = {};
  private readonly done: Changes = [];

  take({ type, hook, outputs }: Message): void {
    if (type === 'outputs' && outputs !== undefined) this.outputs = outputs;
    if (type !== 'apply_complete') return;
    const action = ACTIONS[hook?.action as keyof typeof ACTIONS];
    const address = hook?.resource?.addr;
    if (action !== undefined && address !== undefined) this.done.push({ address, action });
  }

  details({ outputs, imported, changes }: Unsaid): TerraformDetails {
    const count = (wanted: string) => this.done.filter(({ action }) => action === wanted).length;
    const all = [...withReplaced(this.done), ...changes];
    return {
      add: count('create'),
      change: count('update'),
      destroy: count('delete'),
      import: imported,
      replace: all.filter(({ action }) => action === 'replace').length,
      outputs,
      changes: sorted(all),
    };
  }
}

/** What was destroyed and made anew under the same address was replaced. */
function withReplaced(done: Changes): Changes {
  const addressesOf = (wanted: string) =>
    new Set(done.filter(({ action }) => action === wanted).map(({ address }) => address));
  const replaced = addressesOf('create').intersection(addressesOf('delete'));
  const others = done.filter(({ address }) => !replaced.has(address));
  return [...others, ...[...replaced].map((address) => ({ address, action: 'replace' as const }))];
}
