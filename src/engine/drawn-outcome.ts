import { parseDuration } from '../api/common.ts';
import { type StepStatus, type WorkflowRunStatus, workflowRunStatus } from '../api/workflow-run.ts';
import { type Drawn, type DrawnWorkflow, type Placed, placesOf } from './drawn-workflow.ts';
import { demand, equal } from './model-checks.ts';
import type { Plan } from './model-cluster.ts';
import type { Round, Trace } from './model-shell.ts';

// For tests: judges what became of a random workflow by the semantics, without asking the engine.

/** What is known of a round when it has ended. */
interface World {
  places: Map<string, Placed>;
  /** The rows at its end and at its beginning. */
  rows: Map<string, StepStatus>;
  before: Map<string, StepStatus>;
  status: WorkflowRunStatus;
  cancelled: boolean;
  terminated: boolean;
  timedOut: boolean;
}

/** How an attempt of a row goes: plans are gone through over and over, by each instance from another one on. */
export function planOf({ plans, list }: Drawn, row: string, attempt: number): Plan {
  const shift = row.includes('[') ? row.charCodeAt(row.length - 2) - 'a'.charCodeAt(0) : 0;
  const plan = plans[(shift + attempt - 1) % plans.length];
  demand(plan !== undefined, `${row} has no plan`);
  return plan.kind === 'Succeeds' && list !== undefined ? { ...plan, outputs: { list } } : plan;
}

export function checkOutcome(workflow: DrawnWorkflow, trace: Trace): void {
  for (const written of trace.writes) workflowRunStatus.parse(written);
  const places = new Map(placesOf(workflow).map((place) => [place.name, place]));
  for (const round of trace.rounds) checkRound(workflow, worldOf(places, round));
  for (const started of trace.started) checkSeen(places, started);
}

const byName = (rows: StepStatus[] = []) => new Map(rows.map((row) => [row.name, row]));

function worldOf(places: Map<string, Placed>, { before, after }: Round): World {
  return {
    places,
    rows: byName(after.steps),
    before: byName(before.steps),
    status: after,
    cancelled: after.cancellation !== undefined,
    terminated: after.cancellation?.terminatedAt !== undefined,
    timedOut: after.timedOutAt !== undefined,
  };
}

function rowOf({ rows }: Pick<World, 'rows'>, name: string): StepStatus {
  const row = rows.get(name);
  demand(row !== undefined, `${name} has no row`);
  return row;
}

function checkRound(workflow: DrawnWorkflow, world: World): void {
  const { places, status, cancelled, timedOut } = world;
  for (const place of places.values()) checkPlace(place, world);
  const failed = [...places.values()].some((place) => hasFailed(place, world));
  const phase = cancelled ? 'Cancelled' : timedOut ? 'TimedOut' : failed ? 'Failed' : 'Succeeded';
  equal(status.phase, phase, 'the phase');
  equal(status.progress, `${places.size}/${places.size}`, 'the progress');
  equal(status.conditions?.[0]?.status, phase === 'Succeeded' ? 'True' : 'False', 'the condition');
  checkTimeout(workflow, world);
}

const hasFailed = ({ name, drawn }: Placed, world: Pick<World, 'rows'>): boolean =>
  rowOf(world, name).phase === 'Failed' && !drawn.forgiven && !isHandled(drawn, rowOf(world, name));

/** Whether people decided against a step, or did not decide in time. */
const isDeclined = (row: StepStatus | undefined): boolean =>
  row?.type === 'approval' && row.phase === 'Failed' && ['Rejected', 'TimedOut'].includes(row.reason ?? '');

/** Whether a step was declined, and the workflow says what follows that. */
const isHandled = ({ onReject = [] }: Drawn, row: StepStatus | undefined): boolean =>
  onReject.length > 0 && isDeclined(row);

/** Whether a step belongs to what follows the rejection of an approval, or comes after that. */
function isFreed(place: Placed, approval: string, world: World): boolean {
  return (
    place.branch?.condition === approval ||
    parentsOf(place, world).some((one) => isFreed(one, approval, world))
  );
}

/** Whether a step is behind an approval that was declined, and does not follow from that. */
function isBlocked(place: Placed, world: World): boolean {
  const declined = ancestorsOf(place, world).filter(({ name, drawn }) =>
    isHandled(drawn, rowOf(world, name)),
  );
  return declined.some(({ name }) => !isFreed(place, name, world));
}

function checkPlace(place: Placed, world: World): void {
  const row = rowOf(world, place.name);
  const before = world.before.get(place.name);
  // Nothing becomes of what a new round keeps.
  if (before && before.phase !== 'Pending') return equal(row, before, row.name);
  if (row.phase === 'Skipped' && isCutShort(row, place, world)) return;
  const reason = place.finally ? undefined : whyNot(place, row, world);
  if (reason === undefined) return checkEntered(place, row, world);
  equal([row.phase, row.reason], ['Skipped', reason], place.name);
}

/** Whether the end of the run before its time is what ended a row. */
function isCutShort({ reason }: StepStatus, place: Placed, world: World): boolean {
  const { cancelled, terminated, timedOut } = world;
  if (reason === 'RunCancelled') return place.finally ? terminated : cancelled;
  return reason === 'RunTimedOut' && timedOut && !place.finally;
}

/** The reason for which a step of the main graph must not run, if it must not. */
function whyNot(place: Placed, { reason }: StepStatus, world: World): string | undefined {
  const { drawn, waits } = place;
  const off = place.branch && whyNotOnBranch(place.branch, world);
  if (off !== undefined) return off;
  const isOff = waits.length > 0 && waits.every((name) => rowOf(world, name).reason === 'BranchNotTaken');
  if (isOff || isBlocked(place, world)) return 'BranchNotTaken';
  const blamed = ancestorsOf(place, world).some((other) => hasFailed(other, world));
  if (drawn.runIf === 'Always') return undefined;
  if (drawn.runIf === 'Failure') return blamed ? undefined : 'NothingFailed';
  if (blamed) return 'UpstreamFailed';
  // It depends on the time whether a failure elsewhere came first.
  const anyFailed = [...world.places.values()].some((other) => !other.finally && hasFailed(other, world));
  return anyFailed && reason === 'RunFailing' ? reason : undefined;
}

function whyNotOnBranch(
  { condition, side }: NonNullable<Placed['branch']>,
  world: World,
): string | undefined {
  const { type, phase, reason, outputs } = rowOf(world, condition);
  if (isDeclined(rowOf(world, condition))) return undefined;
  if (type === 'approval' && phase === 'Succeeded') return 'BranchNotTaken';
  if (phase === 'Failed') return 'ConditionFailed';
  if (phase !== 'Succeeded') return reason;
  return outputs?.['result'] === (side === 'then') ? undefined : 'BranchNotTaken';
}

const parentsOf = (place: Placed, world: Pick<World, 'places'>): Placed[] =>
  place.waits.flatMap((name) => world.places.get(name) ?? []);

function ancestorsOf(place: Placed, world: Pick<World, 'places'>): Placed[] {
  return parentsOf(place, world).flatMap((parent) => [parent, ...ancestorsOf(parent, world)]);
}

/** Judges a step that is let in. */
function checkEntered(place: Placed, row: StepStatus, world: World): void {
  const { drawn } = place;
  if (drawn.when === 'False' || (drawn.when === 'FirstSucceeded' && !firstSucceeded(place, world))) {
    return equal([row.phase, row.reason], ['Skipped', 'WhenFalse'], place.name);
  }
  if (drawn.when === 'Error') return checkError(row);
  if (drawn.fork) return checkDecided(place, row, drawn.fork.decides, world);
  if (drawn.forEach) return checkInstances(place, row, drawn.forEach, world);
  checkAttempts(place, row, world);
}

function firstSucceeded(place: Placed, world: World): boolean {
  const [first] = place.finally ? ['main-0'] : place.waits;
  return first === undefined || rowOf(world, first).phase === 'Succeeded';
}

function checkError(row: StepStatus): void {
  equal([row.phase, row.reason], ['Failed', 'ExpressionError'], row.name);
  demand(/params\.absent is not there/.test(row.message ?? ''), `${row.name}: ${row.message}`);
}

function checkDecided(
  place: Placed,
  row: StepStatus,
  decides: NonNullable<Drawn['fork']>['decides'],
  world: World,
): void {
  equal(row.attempt, undefined, place.name);
  if (decides === 'Error') return checkError(row);
  const result = decides === 'FirstSucceeded' ? firstSucceeded(place, world) : decides === 'True';
  equal([row.phase, row.outputs], ['Succeeded', { result }], place.name);
}

/** Judges the attempts of a step or an instance. */
function checkAttempts(place: Placed, row: StepStatus, world: World): void {
  const { drawn } = place;
  if (isCutShort(row, place, world)) return;
  if (drawn.badTemplate) return checkError(row);
  const base = world.before.get(row.name)?.attempt ?? 0;
  const expected = expectedEnd(drawn, row.name, base);
  // What ends by itself while the run is being ended is not tried again.
  const isEnding = place.finally ? world.terminated : world.cancelled || world.timedOut;
  const isLast = row.phase === 'Failed' && isEnding;
  if (isLast) return demand((row.attempt ?? 0) <= expected.attempt, `${row.name} was tried again`);
  equal({ phase: row.phase, attempt: row.attempt }, expected, row.name);
  equal(row.attempts?.length ?? 0, expected.attempt - 1, row.name);
}

/** How a row ends that is let in, as its plans have it. */
function expectedEnd(
  drawn: Drawn,
  row: string,
  base: number,
): { phase: StepStatus['phase']; attempt: number } {
  let free = 0;
  for (let attempt = base + 1; ; attempt += 1) {
    const { kind } = planOf(drawn, row, attempt);
    if (kind === 'Succeeds') return { phase: 'Succeeded', attempt };
    // What may still be at work is not tried again.
    if (kind === 'IgnoresStop') return { phase: 'Failed', attempt };
    if (kind === 'Lost' && free < 5) free += 1;
    else if (attempt - base - free > drawn.retries) return { phase: 'Failed', attempt };
  }
}

function checkInstances(
  place: Placed,
  row: StepStatus,
  forEach: NonNullable<Drawn['forEach']>,
  world: World,
): void {
  const items = forEach.from === 'Own' ? forEach.items : listOf(place, world);
  if (items === undefined) return equal([row.phase, row.reason], ['Failed', 'ExpressionError'], row.name);
  if (items.length === 0) return equal([row.phase, row.reason], ['Skipped', 'NoItems'], row.name);
  const names = items.map((item) => `${place.name}[${forEach.keyed ? 'k-' : ''}${item}]`);
  const parts = [...world.rows.values()].filter(({ name }) => name.startsWith(`${place.name}[`));
  equal(
    parts.map(({ name }) => name),
    names,
    'the instances',
  );
  for (const part of parts) checkInstance(place, part, parts, world);
  const phases = new Set(parts.map(({ phase }) => phase));
  if (phases.has('Failed')) equal([row.phase, row.reason], ['Failed', 'InstancesFailed'], row.name);
  else if (phases.size === 1 && phases.has('Succeeded')) equal(row.phase, 'Succeeded', row.name);
  else demand(isCutShort(row, place, world), `${row.name} ended otherwise than its instances`);
}

/** The list that the first step that a step waits for gave; undefined where it gave none. */
function listOf(place: Placed, world: World): string[] | undefined {
  const [first] = place.finally ? ['main-0'] : place.waits;
  if (first === undefined) return [];
  const { list } = rowOf(world, first).outputs ?? {};
  return Array.isArray(list) ? list.map(String) : undefined;
}

function checkInstance(place: Placed, row: StepStatus, all: StepStatus[], world: World): void {
  const before = world.before.get(row.name);
  if (before?.phase === 'Succeeded') return equal(row, before, row.name);
  if (row.reason !== 'InstanceFailed') return checkAttempts(place, row, world);
  const isFast = place.drawn.forEach?.failFast === true;
  demand(isFast && all.some(({ phase }) => phase === 'Failed'), `${row.name} was skipped`);
}

/** A run times out when, and only when, a main step has not ended by then. */
function checkTimeout(
  { timeout }: DrawnWorkflow,
  { places, rows, status, timedOut, cancelled }: World,
): void {
  const ms = timeout === undefined ? Number.POSITIVE_INFINITY : parseDuration(timeout);
  const main = [...rows.values()].filter(({ name }) => places.get(name)?.finally === false);
  const ends = main.map(({ finishedAt = '' }) => Date.parse(finishedAt));
  const { waitedMs = 0 } = status;
  const latest = Math.max(...ends) - Date.parse(status.resumedAt ?? status.startedAt ?? '') - waitedMs;
  // Ends are known to the second, and shown at its end.
  if (latest > ms + 1000) demand(timedOut || cancelled, 'the run did not time out');
  // What is seen lies up to 4 s behind, and stopping takes until after the timeout.
  if (latest < ms - 5000) demand(!timedOut, 'the run timed out too early');
}

/** What an attempt was told: a step of `finally` the phase that the run has, an instance its item and its place. */
function checkSeen(places: Map<string, Placed>, { row, spec, written }: Trace['started'][number]): void {
  const name = row.replace(/\[.*$/, '');
  const place = places.get(name);
  const text = spec.script?.env?.['SEEN'] ?? spec.http?.url ?? spec.workflow?.params?.['seen'];
  const parts = (written.steps ?? []).filter((other) => other.name.startsWith(`${name}[`));
  const index = parts.findIndex((other) => other.name === row);
  const item = place?.drawn.forEach ? `${row.at(-2)} ${index}` : 'none';
  const phase = place?.finally ? phaseSoFar(places, written) : 'none';
  equal(String(text).replace('https://example.com/', ''), `${phase}/${item}`, row);
}

function phaseSoFar(
  places: Map<string, Placed>,
  { steps, cancellation, timedOutAt }: WorkflowRunStatus,
): string {
  if (cancellation) return 'Cancelled';
  if (timedOutAt !== undefined) return 'TimedOut';
  const rows = byName(steps);
  return [...places.values()].some((place) => hasFailed(place, { rows })) ? 'Failed' : 'Succeeded';
}

/** Judges what a run that is continued does over, and what it keeps. */
export function checkContinued(workflow: DrawnWorkflow, { rounds, refusal }: Trace, named?: string): void {
  const places = placesOf(workflow);
  const [first, second] = rounds;
  const ended = byName(first?.after.steps);
  const open = places.filter(({ name, drawn }) => name === named || isOpen(ended.get(name), drawn));
  if (!second) return equal([open, refusal], [[], 'No step of the run failed.'], 'the refusal');
  const world = { places: new Map(places.map((place) => [place.name, place])) };
  const isBehind = (place: Placed) => ancestorsOf(place, world).some((other) => open.includes(other));
  for (const place of places) {
    const isAgain = place.finally || open.includes(place) || isBehind(place);
    const inPart = !place.finally && place.name !== named && !isBehind(place);
    for (const row of second.before.steps ?? []) {
      const old = ended.get(row.name);
      const isPart = row.name.startsWith(`${place.name}[`);
      if (row.name !== place.name && !isPart) continue;
      const isKept = !isAgain || (isPart && inPart && old?.phase === 'Succeeded');
      if (isKept) equal(row, old, row.name);
      else equal(row.phase, 'Pending', row.name);
    }
  }
}

const FOR_GOOD = ['WhenFalse', 'NoItems', 'BranchNotTaken', 'NothingFailed', 'ConditionFailed'];

function isOpen(row: StepStatus | undefined, drawn: Drawn): boolean {
  const { forgiven } = drawn;
  if (isHandled(drawn, row)) return false;
  if (row?.phase === 'Succeeded') return false;
  if (row?.phase === 'Skipped') return !FOR_GOOD.includes(row.reason ?? '');
  return row?.phase === 'Cancelled' || !forgiven || row?.reason === 'RunTimedOut';
}
