import { MAX_INSTANCES } from '../api/for-each.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { end, type Halt } from './attempt.ts';
import type { Evaluation, Node, Result } from './model.ts';
import { hasEnded, pendingStep } from './summary.ts';
import { begin, fail, haltOf, instanceOf, itemsOf, put, skip, type Turn, valuesFor } from './turn.ts';
import { cut, MAX_QUOTE, timeOf } from './text.ts';

/** What can stand between the brackets of an instance's name. */
const KEY = /^[A-Za-z0-9._-]{1,63}$/;

/** Takes a step that is to run apart into one instance for each item, and begins as many as may run at once. */
export function expand(turn: Turn, node: Node, step: StepStatus): void {
  const listed = itemsOf(turn, node);
  if ('error' in listed) return fail(turn, step, 'ExpressionError', listed.error);
  const { items } = listed;
  if (items.length === 0) return skip(turn, step, 'NoItems', 'forEach has no items.');
  if (items.length > MAX_INSTANCES) {
    const message = `forEach gives ${items.length} items, and a step has at most ${MAX_INSTANCES} instances.`;
    return fail(turn, step, 'TooManyItems', message);
  }
  const keys = keysOf(turn, node, items);
  if ('error' in keys) return fail(turn, step, 'ExpressionError', `forEach.key: ${keys.error}`);
  const instances = keys.map((key, index) => instanceOf(node, `${node.name}[${key}]`, index));
  turn.instances.set(node.name, instances);
  // A step that is done over knows of the attempts that its instances had.
  for (const instance of instances) put(turn, turn.steps.get(instance.name) ?? pendingStep(instance));
  put(turn, { ...step, phase: 'Running', startedAt: step.startedAt ?? timeOf(turn.now) });
  advanceInstances(turn, node);
}

/** The names of the instances: as `key` has it, else the items where all of them can be names, else their places. */
function keysOf(turn: Turn, node: Node, items: readonly unknown[]): string[] | { error: string } {
  const places = items.map((_, index) => String(index));
  const { key } = node.forEach ?? {};
  if (!key) return areNames(items) ? items : places;
  const values = valuesFor(turn, node);
  if ('error' in values) return values;
  const given = items.map((item, index) => key.evaluate({ ...values, variables: { item, index } }));
  return checkKeys(given);
}

function areNames(items: readonly unknown[]): items is string[] {
  return (
    items.every((item) => typeof item === 'string' && KEY.test(item)) && new Set(items).size === items.length
  );
}

function checkKeys(given: readonly Evaluation[]): string[] | { error: string } {
  const keys: string[] = [];
  for (const [index, result] of given.entries()) {
    if ('error' in result) return result;
    const key = typeof result.value === 'string' ? result.value : JSON.stringify(result.value);
    const quoted = cut(JSON.stringify(key), MAX_QUOTE);
    if (!KEY.test(key)) {
      return { error: `gave ${quoted} for item ${index}: use at most 63 letters, digits, ".", "-" and "_"` };
    }
    if (keys.includes(key)) return { error: `gave ${quoted} twice: each item needs a key of its own` };
    keys.push(key);
  }
  return keys;
}

/** Begins further instances of a step as others end, and ends the step after the last. */
export function advanceInstances(turn: Turn, node: Node): void {
  const step = turn.steps.get(node.name);
  const instances = turn.instances.get(node.name);
  if (step?.phase !== 'Running' || !instances?.length) return;
  const halt = haltOf(turn, node);
  for (const instance of instances) {
    const row = turn.steps.get(instance.name);
    if (row?.phase === 'Pending') advanceInstance(turn, instance, row, { instances, halt });
  }
  const rows = rowsOf(turn, instances);
  if (rows.every(hasEnded)) put(turn, end(step, resultOf(rows, turn.now), turn.now));
}

/** What was to be done over goes the way of its step when that is left out. */
export function leaveInstances(turn: Turn, node: Node): void {
  const step = turn.steps.get(node.name);
  if (!step || !hasEnded(step)) return;
  for (const row of rowsOf(turn, turn.instances.get(node.name) ?? [])) {
    if (row.phase === 'Pending') skip(turn, row, step.reason ?? '', step.message ?? '');
  }
}

const rowsOf = ({ steps }: Turn, instances: readonly Node[]): StepStatus[] =>
  instances.map((instance) => steps.get(instance.name) ?? pendingStep(instance));

function advanceInstance(
  turn: Turn,
  instance: Node,
  row: StepStatus,
  { instances, halt }: { instances: readonly Node[]; halt: Halt | undefined },
): void {
  if (halt) return skip(turn, row, halt.reason, `${halt.because} before this instance started.`);
  const rows = rowsOf(turn, instances);
  const { maxParallel = MAX_INSTANCES, failFast = true } = instance.instance?.of.forEach ?? {};
  const failed = failFast ? rows.find(({ phase }) => phase === 'Failed') : undefined;
  if (failed) return skip(turn, row, 'InstanceFailed', `${failed.name} failed, and failFast is on.`);
  if (rows.filter(({ phase }) => phase === 'Running').length < maxParallel) begin(turn, instance, row);
}

/** What came of a step from what came of its instances. */
function resultOf(rows: readonly StepStatus[], finishedAt: number): Result {
  const count = (phase: StepStatus['phase']) => rows.filter((row) => row.phase === phase).length;
  const summary = `${count('Succeeded')} of ${rows.length} succeeded`;
  const failed = rows.find(({ phase }) => phase === 'Failed');
  if (failed) {
    const { name, message, reason } = failed;
    const text = `${count('Failed')} of ${rows.length} instances failed, first ${name}: ${message ?? reason}`;
    return { outcome: 'Failed', reason: 'InstancesFailed', message: text, summary, finishedAt };
  }
  const stopped = rows.find(({ phase }) => phase !== 'Succeeded');
  if (!stopped) return { outcome: 'Succeeded', reason: 'Completed', summary, finishedAt };
  const { reason = '', message = '' } = stopped;
  const outcome = reason === 'RunCancelled' ? 'Cancelled' : 'Failed';
  return { outcome, reason, message, summary, finishedAt };
}
