import { type Contender, defaultKey, type LimitKind, stageOf } from '../engine/concurrency.ts';
import { keyOf } from '../kube/store.ts';
import type { RunView } from './views.ts';

// What the runs in a store tell of who competes with whom: see docs/operations.md, "Concurrency".

/** What a run can wait for: the end of another run, or one of a number of places. */
type Kind = 'Run' | LimitKind;

/** The indexes by which those are found that compete. */
export const contentionIndexers = {
  /** Unfinished runs by {@link lineOf} and the key, and by {@link arrivalsOf} before their key is known. */
  line: (run: RunView): string[] => {
    const stage = stageOf(run.status);
    if (stage === 'Ended') return [];
    return [stage === 'New' ? arrivalsOf(run) : lineOf(run, keyIn(run))];
  },
  /** Runs that count for limits, by the {@link scopeOf} each. */
  active: (run: RunView): string[] => {
    if (stageOf(run.status) !== 'Active' || run.owner) return [];
    return LIMITS.map((kind) => scopeOf(kind, run));
  },
  /** Waiting runs by the {@link scopeOf} what they wait for. */
  waitsFor: (run: RunView): string[] => {
    const blockedBy = stageOf(run.status) === 'Waiting' ? run.status.queue?.blockedBy : undefined;
    return blockedBy ? [scopeOf(blockedBy.kind, { ...run, name: blockedBy.run ?? '' })] : [];
  },
};
export type ContentionIndex = keyof typeof contentionIndexers;

export const LIMITS: readonly LimitKind[] = ['WorkflowLimit', 'NamespaceLimit', 'ClusterLimit'];

/** Runs of workflows that say nothing of concurrency hold the default key for those that wait for it. */
const keyIn = ({ status, spec }: RunView): string => status.queue?.key ?? defaultKey(spec.workflowRef.name);

/** Runs of the same key. */
export const lineOf = ({ namespace }: RunView, key: string): string => `key ${namespace}/${key}`;

/** Runs before they are accepted: what their key is may depend on what they were given. */
export const arrivalsOf = ({ namespace, spec }: RunView): string =>
  `new ${namespace}/${spec.workflowRef.name}`;

/** What runs wait for, as one text. */
export function scopeOf(kind: Kind, { namespace, name, spec }: RunView): string {
  switch (kind) {
    case 'Run':
      return `${kind} ${keyOf({ namespace, name })}`;
    case 'WorkflowLimit':
      return `${kind} ${keyOf({ namespace, name: spec.workflowRef.name })}`;
    case 'NamespaceLimit':
      return `${kind} ${namespace}`;
    case 'ClusterLimit':
      return kind;
    default:
      return kind satisfies never;
  }
}

/** Whether a scope is that of a limit. */
export const isLimit = (scope: string): boolean => !scope.startsWith('Run ');

/** Views never change, and in a long line each is looked at by all that come behind it. */
const contenders = new WeakMap<RunView, Contender>();

/** A run as its rivals see it. */
export function contenderOf(run: RunView): Contender {
  const known = contenders.get(run);
  if (known) return known;
  const contender = toContender(run);
  contenders.set(run, contender);
  return contender;
}

function toContender(run: RunView): Contender {
  const { name, status, owner, deletedAt } = run;
  const activeSince = status.resumedAt ?? status.startedAt;
  const stage = stageOf(status);
  return {
    name,
    policy: status.queue?.policy ?? 'Allow',
    stage: stage === 'Ended' ? 'New' : stage,
    askedAt: askedAt(run),
    since: status.queue?.since ?? '',
    ...(activeSince === undefined ? {} : { activeSince }),
    child: owner !== undefined,
    leaving: status.cancellation !== undefined || deletedAt !== undefined,
  };
}

/** A run that was continued asked for it then. */
function askedAt({ status, createdAt }: RunView): number {
  if (status.round === undefined) return createdAt;
  return Date.parse(status.queue?.since ?? status.resumedAt ?? '') || createdAt;
}
