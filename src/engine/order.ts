import type { Problem } from './model.ts';
import { didYouMean } from './suggest.ts';

/** A step as far as order goes. */
export interface Ordered {
  name: string;
  dependsOn?: readonly string[] | undefined;
}

/** What each step waits for: what it names, or else the step before it in the list. */
export function dependencies(
  steps: readonly Ordered[],
  finallyNames: ReadonlySet<string>,
): { waitsFor: Map<string, string[]>; problems: Problem[] } {
  const names = new Set(steps.map(({ name }) => name));
  const problems: Problem[] = [];
  const waitsFor = new Map<string, string[]>();
  for (const [index, { name, dependsOn }] of steps.entries()) {
    const before = steps[index - 1]?.name;
    const wanted = dependsOn ?? (before === undefined ? [] : [before]);
    for (const [at, dependency] of wanted.entries()) {
      const message = dependencyProblem(name, dependency, names, finallyNames);
      if (message !== undefined) problems.push({ field: `spec.steps[${index}].dependsOn[${at}]`, message });
    }
    waitsFor.set(
      name,
      [...new Set(wanted)].filter((other) => other !== name && names.has(other)),
    );
  }
  return { waitsFor, problems };
}

function dependencyProblem(
  name: string,
  dependency: string,
  names: ReadonlySet<string>,
  finallyNames: ReadonlySet<string>,
): string | undefined {
  if (dependency === name) return `names the step ${name} itself: remove it`;
  if (names.has(dependency)) return undefined;
  if (finallyNames.has(dependency)) {
    return `names ${dependency}, which runs in finally, after all other steps: remove it`;
  }
  return `names ${dependency}, which is no step of the workflow.${didYouMean(dependency, names)}`;
}

/**
 * The names with each behind all that it waits for, otherwise in the order given; and the cycles that make this
 * impossible, each as the names along it.
 */
export function sortByDependency(waitsFor: ReadonlyMap<string, readonly string[]>): {
  order: string[];
  cycles: string[][];
} {
  const order: string[] = [];
  const cycles: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): void => {
    if (done.has(name)) return;
    const start = path.indexOf(name);
    if (start >= 0) {
      cycles.push(path.slice(start));
      return;
    }
    path.push(name);
    for (const other of waitsFor.get(name) ?? []) visit(other);
    path.pop();
    done.add(name);
    order.push(name);
  };
  for (const name of waitsFor.keys()) visit(name);
  return { order, cycles };
}

/** All steps that come before one, in any number of hops. */
export function ancestorsOf(name: string, waitsFor: ReadonlyMap<string, readonly string[]>): Set<string> {
  const found = new Set<string>();
  const pending = [...(waitsFor.get(name) ?? [])];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    pending.push(...(waitsFor.get(next) ?? []));
  }
  return found;
}
