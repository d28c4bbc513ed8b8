import type { Branch, Guard, Node, Problem } from './model.ts';
import { ancestorsOf } from './order.ts';
import { type PlanReference, readPlan } from './plan-reference.ts';
import { didYouMean } from './suggest.ts';
import { onRejectOf } from './summary.ts';

// What follows from the graph for approvals: what they are about, and which steps must never start without them.

/** The steps with each approval told what it is about, and the steps behind it told of it; and what is wrong with them. */
export function placeApprovals(nodes: readonly Node[]): { nodes: Node[]; problems: Problem[] } {
  const map = createMap(nodes);
  const placed = nodes.map((node) => {
    const guards = node.kind === 'Approval' ? [] : map.guardsOf(node);
    return {
      ...node,
      ...(node.kind === 'Approval' ? { approves: plansOf(node, map) } : {}),
      ...(guards.length > 0 ? { guards } : {}),
    };
  });
  return { nodes: placed, problems: nodes.flatMap((node) => problemsOf(node, map)) };
}

const approvalOf = ({ spec }: Node) => ('approval' in spec ? spec.approval : undefined);

interface GraphMap {
  nodes: readonly Node[];
  before(name: string): ReadonlySet<string>;
  byName(name: string): Node | undefined;
  /** The approvals before a step that runs only if nothing failed. */
  guardsOf(node: Node): Guard[];
}

function createMap(nodes: readonly Node[]): GraphMap {
  const waitsFor = new Map(nodes.map((node) => [node.name, node.waitsFor]));
  const names = new Map(nodes.map((node) => [node.name, node]));
  const known = new Map<string, ReadonlySet<string>>();
  const byName = (name: string) => names.get(name);
  const approvals = nodes.filter(({ kind }) => kind === 'Approval');

  function before(name: string): ReadonlySet<string> {
    const found = known.get(name) ?? ancestorsOf(name, waitsFor);
    known.set(name, found);
    return found;
  }

  /** The branches that a step lies in, the outermost last. */
  function chainOf({ branch }: Node, depth = 0): Branch[] {
    const condition = branch && byName(branch.condition);
    return branch && condition && depth < nodes.length ? [branch, ...chainOf(condition, depth + 1)] : [];
  }

  const isWithin = (node: Node, { condition, side }: Branch) =>
    chainOf(node).some((branch) => branch.condition === condition && branch.side === side);

  /** Whether a step can be left out because no way that was taken leads to it. */
  function canBeOff(node: Node, depth = 0): boolean {
    if (node.branch || depth > nodes.length) return true;
    const parents = node.waitsFor.flatMap((name) => byName(name) ?? []);
    if (parents.length === 0 || !parents.every((parent) => canBeOff(parent, depth + 1))) return false;
    return !parents.some((parent) => chainOf(parent).some((branch) => isOtherSideThere(branch, parents)));
  }

  const isOtherSideThere = ({ condition, side }: Branch, parents: readonly Node[]) =>
    parents.some((other) => isWithin(other, { condition, side: side === 'then' ? 'else' : 'then' }));

  /** Whether an approval is asked in every run that comes to the step. */
  function isCertain(approval: Node, node: Node): boolean {
    if (approval.when || approval.runIf === 'Failure') return false;
    const { branch } = approval;
    if (!branch) return !canBeOff(approval);
    const isInside = (name: string) => {
      const parent = byName(name);
      return name === branch.condition || (parent !== undefined && isWithin(parent, branch));
    };
    return isWithin(node, branch) && approval.waitsFor.some(isInside);
  }

  /** Whether a step belongs to what follows a rejection, or comes after that. */
  function followsRejection(approval: Node, node: Node): boolean {
    if (onRejectOf(approval).length === 0) return false;
    const branch = new Set(nodes.filter((one) => isWithin(one, { condition: approval.name, side: 'else' })));
    return branch.has(node) || [...branch].some(({ name }) => before(node.name).has(name));
  }

  return {
    nodes,
    before,
    byName,
    guardsOf(node) {
      if (node.finally || node.runIf !== 'Success') return [];
      return approvals
        .filter(({ name }) => before(node.name).has(name))
        .map((approval) => ({
          approval: approval.name,
          certain: isCertain(approval, node) && !followsRejection(approval, node),
        }));
    },
  };
}

/** The plans that an approval is about: the one that it names, or all those that are carried out behind it. */
function plansOf(approval: Node, map: GraphMap): PlanReference[] {
  const named = approvalOf(approval)?.plan;
  if (named !== undefined) return [readPlan(named) ?? { step: named }];
  const found = new Map<string, PlanReference>();
  for (const node of carriersBehind(approval, map)) {
    for (const reference of referencesOf(node, approval, map)) {
      found.set(`${reference.step}[${reference.key ?? ''}]`, reference);
    }
  }
  return [...found.values()];
}

/** The steps behind an approval that carry out a plan. */
const carriersBehind = (approval: Node, { nodes, before }: GraphMap): Node[] =>
  nodes.filter(({ name, spec }) => spec.terraform?.plan !== undefined && before(name).has(approval.name));

/** What a step carries out that was planned before the approval; where only a run knows, it may be any of the plans. */
function referencesOf(node: Node, approval: Node, { nodes, before }: GraphMap): PlanReference[] {
  const reference = readPlan(node.spec.terraform?.plan ?? '');
  const planners = nodes.filter(
    ({ name, spec }) => spec.terraform?.action === 'plan' && before(approval.name).has(name),
  );
  if (!reference) return planners.map(({ name }) => ({ step: name }));
  return planners.some(({ name }) => name === reference.step) ? [reference] : [];
}

function problemsOf(node: Node, map: GraphMap): Problem[] {
  if (node.kind === 'Approval') return approvalProblems(node, map);
  if (node.spec.terraform?.plan === undefined) return [];
  return [...destroyProblems(node, map), ...handlerProblems(node, map)];
}

function approvalProblems(node: Node, map: GraphMap): Problem[] {
  const { approvers = [], required = 1, plan } = approvalOf(node) ?? {};
  const problems: Problem[] = [];
  const report = (at: string, message: string) =>
    void problems.push({ field: `${node.field}.approval.${at}`, message });
  if (approvers.every((approver) => approver.startsWith('user:')) && required > approvers.length) {
    report('required', `is ${required}, and only ${approvers.length} people are asked: add approvers`);
  }
  const message = plan === undefined ? undefined : namedPlanProblem(plan, node, map);
  if (message !== undefined) report('plan', message);
  return problems;
}

function namedPlanProblem(
  plan: string,
  approval: Node,
  { byName, before, nodes }: GraphMap,
): string | undefined {
  const reference = readPlan(plan);
  if (!reference || reference.key === null)
    return `is "${plan}": write the name of a step, as plan or plan[us]`;
  const { step, key } = reference;
  const planner = byName(step);
  if (!planner) {
    const names = nodes.map(({ name }) => name);
    return `names ${step}, which is no step.${didYouMean(step, names)}`;
  }
  if (planner.spec.terraform?.action !== 'plan') {
    return `names ${step}, which makes no plan: name a step with terraform.action: plan`;
  }
  if (!before(approval.name).has(step)) {
    return `names ${step}, which need not have ended when this step starts: add ${step} to dependsOn`;
  }
  if (key !== undefined && !planner.forEach) {
    return `names an instance of ${step}, which has no forEach: write ${step}`;
  }
  return undefined;
}

/** What destroys must have been looked at by somebody who saw exactly that plan. */
function destroyProblems(node: Node, map: GraphMap): Problem[] {
  const { terraform } = node.spec;
  if (terraform?.action !== 'destroy') return [];
  const field = `${node.field}.terraform.action`;
  const plan = readPlan(terraform.plan ?? '');
  const isBehindPlan = ({ name }: Node) => plan === undefined || map.before(name).has(plan.step);
  const isAboutPlan = (approval: Node) =>
    plan === undefined || plansOf(approval, map).some(({ step }) => step === plan.step);
  const certain = map.guardsOf(node).filter((guard) => guard.certain);
  const approvals = certain.flatMap(({ approval }) => map.byName(approval) ?? []);
  if (approvals.some((approval) => isBehindPlan(approval) && isAboutPlan(approval))) return [];
  const where = plan === undefined ? 'before it' : `between ${plan.step} and ${node.name}`;
  const message = `destroy needs an approval ${where} that is asked in every run: add a step with approval, without when, and let ${node.name} wait for it with runIf: Success, not in finally`;
  return [{ field, message }];
}

/** A step that runs although an approval before it failed would carry out what was rejected. */
function handlerProblems(node: Node, map: GraphMap): Problem[] {
  if (node.runIf === 'Success' && !node.finally) return [];
  const plan = readPlan(node.spec.terraform?.plan ?? '')?.step;
  const isAbout = (approval: Node) =>
    node.finally
      ? plan === undefined || map.before(approval.name).has(plan)
      : map.before(node.name).has(approval.name) &&
        plansOf(approval, map).some(({ step }) => step === (plan ?? step));
  const approval = map.nodes.find((one) => one.kind === 'Approval' && isAbout(one));
  if (!approval) return [];
  const [field, why] = node.finally
    ? ['terraform.plan', 'is carried out in finally']
    : ['runIf', `is ${node.runIf}`];
  const message = `${why}, so that ${node.name} would make changes that ${approval.name} has rejected: use a step behind the approval with runIf: Success`;
  return [{ field: `${node.field}.${field}`, message }];
}
