import { calledBy, cycleProblems } from '../engine/chain.ts';
import type { Problem } from '../engine/model.ts';
import { keyOf } from '../kube/store.ts';
import type { Cluster } from './cluster.ts';
import type { WorkflowView } from './views.ts';

type Workflows = Pick<Cluster['workflows'], 'store'>;

/** What is wrong with a workflow because of others: it would run itself. */
export function cyclesOf({ store }: Workflows, { namespace, name, spec }: WorkflowView): Problem[] {
  return cycleProblems(name, spec, (other) => store.get(keyOf({ namespace, name: other }))?.spec);
}

/** Keys of all workflows that run one, directly or through others: what is wrong with it may be so with them. */
export function callersOf({ store }: Workflows, key: string): string[] {
  const found = new Set<string>();
  const pending = [key];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const caller of store.byIndex('calls', next)) {
      const above = keyOf(caller);
      if (above === key || found.has(above)) continue;
      found.add(above);
      pending.push(above);
    }
  }
  return [...found];
}

/** Keys of the workflows that one runs. */
export const callsOf = ({ namespace, spec }: WorkflowView): string[] => [
  ...new Set(calledBy(spec).map(({ called }) => keyOf({ namespace, name: called }))),
];
