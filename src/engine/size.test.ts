import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { workflowRunStatus } from '../api/workflow-run.ts';
import type { Observation } from './model.ts';
import { MAX_STATUS, shorten } from './size.ts';
import { each, failed, running, SECOND, step, succeeded, takeOn, waiting } from './turns.ts';

const RUN = 'r'.repeat(253);
const UID = '01234567-89ab-cdef-0123-456789abcdef';

/** Names as long as may be, the first characters of which tell them apart. */
const names = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}-`.padEnd(63, 'x'));

/** 500 steps side by side, one of which has 256 instances. */
function largest(more: object = {}) {
  const [first = '', ...rest] = names(500, 's');
  const all = { dependsOn: [], ...more };
  const steps = [step(first, { ...all, ...each(names(256, 'k'), { failFast: false }) })];
  return takeOn({ steps: [...steps, ...rest.map((name) => step(name, all))] }, {}, RUN);
}

type Run = ReturnType<typeof takeOn>;

/** The same for all that has an attempt. */
const all = (run: Run, seen: Observation) => Object.fromEntries(run.going().map((name) => [name, seen]));

/** The largest status of a run whose statuses are all within the limit. */
function largestOf(t: TestContext, what: string, run: Run, turns: (() => void)[]): void {
  const sizes = turns.map((turn) => {
    turn();
    workflowRunStatus.parse(run.status);
    return Buffer.byteLength(JSON.stringify(run.status));
  });
  t.diagnostic(`${what}: ${sizes.join(', ')} bytes of at most ${MAX_STATUS}`);
  assert.ok(sizes.every((size) => size <= MAX_STATUS));
}

test('500 steps and 256 instances with the longest names fit, and so does what came of them', (t) => {
  const run = largest();
  const summary = '3 to add, 1 to change, 0 to destroy';
  largestOf(t, 'all running, then half, then all succeeded', run, [
    () => run.at(0),
    () =>
      run.at(
        SECOND,
        Object.fromEntries(
          run.going().map((name, at) => [name, at % 2 ? running : succeeded({ uid: UID, summary })]),
        ),
      ),
    () => run.at(2 * SECOND, all(run, succeeded({ uid: UID, summary }))),
  ]);
  assert.equal(run.status.steps?.length, 756);
  assert.equal(run.status.phase, 'Succeeded');
  assert.equal(run.status.progress, '500/500');
  assert.ok(run.status.steps.every((row) => row.summary !== undefined));
});

test('what went wrong with each of them fits', (t) => {
  const run = largest();
  const message = 'why '.repeat(250);
  largestOf(t, 'all running, then waiting, then failed', run, [
    () => run.at(0),
    () => run.at(SECOND, all(run, waiting('ImagePullBackOff', message))),
    () => run.at(2 * SECOND, all(run, failed('ExitCode', { message, uid: UID }))),
  ]);
  assert.equal(run.status.reason, 'StepFailed');
  assert.equal(run.step('s1-'.padEnd(63, 'x')).message?.length, 80);
});

test('as many retries as a workflow may have fit', (t) => {
  const steps = Array.from({ length: 500 }, (_, index) =>
    step(`step-${index}`.padEnd(30, 'x'), {
      dependsOn: [],
      retry: { limit: 2, backoff: { initial: '0s' } },
    }),
  );
  const run = takeOn({ steps }, {}, RUN);
  const fails = failed('ExitCode', { message: 'why '.repeat(250), uid: UID });
  largestOf(t, 'all running, then failed once, twice, three times', run, [
    () => run.at(0),
    () => run.at(SECOND, all(run, fails)),
    () => run.at(2 * SECOND, all(run, fails)),
    () => run.at(3 * SECOND, all(run, fails)),
  ]);
  assert.equal(run.status.reason, 'StepFailed');
  assert.ok(run.status.steps?.every(({ attempt }) => attempt === 3));
});

test('as long as there is room, nothing is left out', () => {
  const run = takeOn({ steps: [step('a', { retry: { limit: 1, backoff: { initial: '0s' } } })] });
  const message = 'm'.repeat(1024);
  run.at(0);
  run.at(1, { a: failed('ExitCode', { message }) });
  run.at(2);
  run.at(3, { a: failed('ExitCode', { message, uid: UID, summary: 's'.repeat(256) }) });
  const { attempts, job, summary } = run.step('a');
  assert.deepEqual(
    [attempts?.length, job?.uid, summary?.length, run.step('a').message],
    [1, UID, 256, message],
  );
});

test('a run that would outgrow its status fails with the reason before anything is started', () => {
  const items = names(256, 'k');
  const steps = ['a', 'b', 'c', 'd', 'e'].map((name) => step(name, { ...each(items), dependsOn: ['first'] }));
  const run = takeOn({ steps: [step('first'), step('beside', { dependsOn: [] }), ...steps] });
  run.at(0);
  run.at(SECOND, { first: succeeded() });
  assert.equal(run.effects(), '');
  assert.equal(run.status.phase, 'Failed');
  assert.equal(run.status.reason, 'StatusTooLarge');
  assert.match(
    run.status.message ?? '',
    /^The status of the run would come to \d{6} bytes, and at most 262144 are kept: use fewer/,
  );
  assert.equal(
    run.phases(),
    'first:Failed/StatusTooLarge beside:Failed/StatusTooLarge a:Skipped/StatusTooLarge b:Skipped/StatusTooLarge ' +
      'c:Skipped/StatusTooLarge d:Skipped/StatusTooLarge e:Skipped/StatusTooLarge',
  );
  assert.equal(run.status.progress, '7/7');
});

test('the size counts bytes, not characters', () => {
  const steps = ['a', 'b'].map((name) => ({
    name,
    type: 'script' as const,
    phase: 'Succeeded' as const,
    outputs: { x: '界'.repeat(48_000) },
  }));
  const tooLarge = shorten({ steps });
  assert.match(tooLarge.ok ? '' : tooLarge.message, /would come to 288\d{3} bytes/);
  assert.equal(shorten({ steps: steps.slice(1) }).ok, true);
});

test('outputs of a run that would make the status too large fail it, and its steps stay as they are', () => {
  const outputs = Object.fromEntries(
    Array.from({ length: 5 }, (_, at) => [`o${at}`, '[steps.a.outputs.x].map(x, x + x)']),
  );
  const run = takeOn({ outputs, steps: [step('a')] });
  run.at(0);
  run.at(1, { a: succeeded({ outputs: { x: 'x'.repeat(30_000) } }) });
  assert.equal(run.phases(), 'a:Succeeded/Completed');
  assert.equal(run.status.phase, 'Failed');
  assert.equal(run.status.reason, 'OutputError');
  assert.equal(run.status.outputs, undefined);
  assert.match(
    run.status.message ?? '',
    /^The outputs of the run are too large: All outputs of the run together may come to \d+ characters/,
  );
});
