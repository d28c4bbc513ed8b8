import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { mendStatus } from './mend.ts';
import { callOf, each, failed, runOf, SECOND, step, succeeded, T0, takeOn, time } from './turns.ts';

/** A run amid its work: a step that is done, one of each kind that runs, one that waits for its next attempt. */
function amid() {
  const beside = { dependsOn: ['done'] };
  const run = takeOn({
    steps: [
      step('done'),
      step('job', beside),
      runOf('run', beside),
      callOf('call', beside),
      step('again', { ...beside, retry: { limit: 1 } }),
      step('many', { ...beside, ...each(['a', 'b'], { maxParallel: 1 }) }),
      step('last'),
    ],
  });
  run.at(0);
  run.at(SECOND, { done: succeeded() });
  run.at(2 * SECOND, { again: failed() });
  return run;
}

const mended = ({ graph }: ReturnType<typeof takeOn>, status: WorkflowRunStatus) =>
  mendStatus(graph, status, T0 + 3 * SECOND);

/** The status with one row changed; without it where the change gives none. */
function withRow(
  status: WorkflowRunStatus,
  name: string,
  change: (row: StepStatus) => StepStatus | undefined,
): WorkflowRunStatus {
  const steps = (status.steps ?? []).flatMap((row) => (row.name === name ? (change(row) ?? []) : row));
  return { ...status, steps };
}

const rowOf = (status: WorkflowRunStatus, name: string) => status.steps?.find((row) => row.name === name);

test('what the engine wrote is left as it is', () => {
  const run = amid();
  assert.equal(mended(run, run.status), run.status);
});

test('the rows of the steps are those of the workflow, in its order', () => {
  const run = amid();
  const { steps = [] } = run.status;
  const stranger: StepStatus = { name: 'stranger', type: 'script', phase: 'Running', attempt: 1 };
  assert.deepEqual(mended(run, { ...run.status, steps: [stranger, ...steps] }).steps, steps);
  const lost = withRow(run.status, 'last', () => undefined);
  assert.deepEqual(mended(run, lost).steps, steps);
  const { steps: anew = [] } = mended(run, { ...run.status, steps: [] });
  assert.deepEqual(
    anew.map(({ phase }) => phase),
    Array(7).fill('Pending'),
  );
});

test('a running step that lost what tells of its attempt begins again under the same name', () => {
  const cases: [name: string, change: (row: StepStatus) => StepStatus][] = [
    ['job', ({ job: _job, ...row }) => row],
    ['job', ({ startedAt: _startedAt, ...row }) => row],
    ['job', ({ attempt: _attempt, ...row }) => row],
    ['run', ({ run: _run, ...row }) => row],
    ['call', ({ attempt: _attempt, ...row }) => row],
    ['many[a]', ({ job: _job, ...row }) => row],
  ];
  for (const [name, change] of cases) {
    const run = amid();
    const [id] = run.at(2 * SECOND, { [name]: { state: 'Absent' } }).effects.map((effect) => effect.id);
    const broken = withRow(run.status, name, change);
    const status = mended(run, broken);
    assert.equal(rowOf(status, name)?.phase, 'Pending', name);
    run.write(status);
    run.at(3 * SECOND);
    assert.equal(run.effects(), `Start ${name}-1`);
    assert.deepEqual(run.ids(), [id]);
  }
});

test('a row of another type is begun anew, and one that waits for its next attempt is whole', () => {
  const run = amid();
  const other = mended(
    run,
    withRow(run.status, 'job', (row) => ({ ...row, type: 'http' })),
  );
  assert.deepEqual(rowOf(other, 'job'), { name: 'job', type: 'script', phase: 'Pending' });
  assert.equal(rowOf(run.status, 'again')?.job, undefined);
  assert.equal(mended(run, run.status), run.status);
});

test('a step that lost its instances is taken apart anew', () => {
  const run = amid();
  const gone = withRow(
    withRow(run.status, 'many[a]', () => undefined),
    'many[b]',
    () => undefined,
  );
  run.write(mended(run, gone));
  assert.equal(rowOf(run.status, 'many')?.phase, 'Pending');
  run.at(3 * SECOND);
  assert.equal(run.effects(), 'Start many[a]-1');
});

test('the phase and the start of an active run are put back', () => {
  const run = amid();
  const { startedAt: _startedAt, ...rest } = run.status;
  const status = mended(run, { ...rest, phase: 'Succeeded' });
  assert.equal(status.phase, 'Running');
  assert.equal(status.startedAt, time(3 * SECOND));
  assert.equal(status.steps, run.status.steps);
});
