import type { Branch, Problem } from './model.ts';
import { didYouMean } from './suggest.ts';

/** A step as far as order goes. */
export interface Ordered {
  name: string;
  dependsOn?: readonly string[] | undefined;
  condition?: Branches | undefined;
  approval?: { onReject?: readonly string[] | undefined } | undefined;
}

interface Branches {
  then?: readonly string[] | undefined;
  else?: readonly string[] | undefined;
}

export interface Order {
  waitsFor: Map<string, string[]>;
  /** The branch of each step that belongs to one. */
  branches: Map<string, Branch>;
  problems: Problem[];
}

const SIDES = ['then', 'else'] as const;

/** The branches of a step that has some: what follows the rejection of an approval is its `else`. */
function branchesOf({ condition, approval }: Ordered): Branches | undefined {
  return condition ?? (approval?.onReject ? { else: approval.onReject } : undefined);
}

const fieldOf = ({ approval }: Ordered, side: (typeof SIDES)[number]): string =>
  approval ? 'approval.onReject' : `condition.${side}`;

/**
 * What each step waits for: what it names, or else what reading the list from top to bottom suggests. A branch of a
 * condition is a small pipeline behind the condition; the first step after branches waits for the end of each.
 */
export function dependencies(steps: readonly Ordered[], finallyNames: ReadonlySet<string>): Order {
  const names = new Set(steps.map(({ name }) => name));
  const { branches, problems } = readBranches(steps, names, finallyNames);
  const implied = impliedBy(steps, branches);
  const waitsFor = new Map<string, string[]>();
  for (const [index, step] of steps.entries()) {
    const { name, dependsOn } = step;
    for (const [at, dependency] of (dependsOn ?? []).entries()) {
      const message = dependencyProblem(name, dependency, names, finallyNames);
      if (message !== undefined) problems.push({ field: `spec.steps[${index}].dependsOn[${at}]`, message });
    }
    const wanted = new Set(dependsOn ?? implied(step, index));
    waitsFor.set(
      name,
      [...wanted].filter((other) => other !== name && names.has(other)),
    );
  }
  return { waitsFor, branches, problems: [...problems, ...strayProblems(steps, branches, waitsFor)] };
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

/** Which branch each step belongs to; at most one. */
function readBranches(
  steps: readonly Ordered[],
  names: ReadonlySet<string>,
  finallyNames: ReadonlySet<string>,
): Pick<Order, 'branches' | 'problems'> {
  const branches = new Map<string, Branch>();
  const problems: Problem[] = [];
  for (const [index, step] of steps.entries()) {
    const condition = step.name;
    for (const side of SIDES) {
      for (const [at, name] of (branchesOf(step)?.[side] ?? []).entries()) {
        const message =
          dependencyProblem(condition, name, names, finallyNames) ?? secondBranch(name, branches.get(name));
        if (message === undefined) branches.set(name, { condition, side });
        else problems.push({ field: `spec.steps[${index}].${fieldOf(step, side)}[${at}]`, message });
      }
    }
  }
  return { branches, problems };
}

function secondBranch(name: string, first: Branch | undefined): string | undefined {
  if (first === undefined) return undefined;
  return `names ${name}, which is in the branch ${first.side} of ${first.condition} already: a step belongs to one branch at most`;
}

/** What a step without `dependsOn` waits for. */
function impliedBy(
  steps: readonly Ordered[],
  branches: ReadonlyMap<string, Branch>,
): (step: Ordered, index: number) => string[] {
  const byName = new Map(steps.map((step, index) => [step.name, { step, index }]));
  const listOf = ({ condition, side }: Branch) => {
    const step = byName.get(condition)?.step;
    return (step && branchesOf(step)?.[side]) ?? [];
  };

  /**
   * The steps after which nothing of a step is left to do: its own end, or for a condition that of each branch. What
   * comes behind an approval has nothing to do with what follows its rejection.
   */
  function ends(name: string, seen: ReadonlySet<string> = new Set()): string[] {
    const sides = byName.get(name)?.step.condition;
    if (!sides || seen.has(name)) return [name];
    const within = new Set([...seen, name]);
    return SIDES.flatMap((side) => {
      const last = sides[side]?.at(-1);
      return last === undefined ? [name] : ends(last, within);
    });
  }

  /** The condition that is in no branch and holds the step, directly or further up. */
  function outermost(name: string): string {
    const seen = new Set<string>();
    let top = name;
    for (let branch = branches.get(top); branch && !seen.has(top); branch = branches.get(top)) {
      seen.add(top);
      top = branch.condition;
    }
    return top;
  }

  const tops = new Map(steps.map(({ name }) => [name, outermost(name)]));
  const hasBegun = (condition: string, index: number) =>
    [...branches].some(
      ([name, branch]) => branch.condition === condition && (byName.get(name)?.index ?? index) < index,
    );

  return ({ name }, index) => {
    const branch = branches.get(name);
    if (branch) {
      const list = listOf(branch);
      const before = list[list.indexOf(name) - 1];
      return before === undefined ? [branch.condition] : ends(before);
    }
    // A condition may stand behind steps of its own branches, which wait for it.
    const before = steps.slice(0, index).filter((step) => tops.get(step.name) !== name);
    const inBranches = before.slice(before.findLastIndex((step) => !branches.has(step.name)) + 1);
    const conditions = new Set(inBranches.map((step) => tops.get(step.name) ?? step.name));
    if (conditions.size > 0) return [...conditions].flatMap((condition) => ends(condition));
    const previous = before.at(-1)?.name;
    if (previous === undefined) return [];
    return hasBegun(previous, index) ? ends(previous) : [previous];
  };
}

/** Steps of a branch that could run before it is known whether the branch is taken. */
function strayProblems(
  steps: readonly Ordered[],
  branches: ReadonlyMap<string, Branch>,
  waitsFor: ReadonlyMap<string, readonly string[]>,
): Problem[] {
  return steps.flatMap(({ name, dependsOn }, index) => {
    const branch = branches.get(name);
    if (!branch || !dependsOn || ancestorsOf(name, waitsFor).has(branch.condition)) return [];
    const message = `does not wait for ${branch.condition}, in whose branch ${branch.side} the step is: add ${branch.condition}, or a step behind it`;
    return [{ field: `spec.steps[${index}].dependsOn`, message }];
  });
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
