import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Observation, Result } from './model.ts';
import { evicted, failed, HOUR, MINUTE, SECOND, step, succeeded, takeOn, waiting } from './turns.ts';

/** Failures, and by which entries of `retry.causes` each is followed by another attempt. */
const cases: [what: string, seen: Observation, on: string[]][] = [
  ['exit code 75', failed('ExitCode', { exitCode: 75 }), ['Any', 'Error', '75']],
  ['exit code 1', failed('ExitCode', { exitCode: 1 }), ['Any', 'Error', '1']],
  [
    'exit code 0 of what failed all the same',
    failed('OutputTooLarge', { exitCode: 0 }),
    ['Any', 'Error', '0'],
  ],
  ['a timeout', failed('DeadlineExceeded'), ['Any', 'Error']],
  ['a lost node', failed('NodeLost', { infrastructure: true }), ['Any', 'Infrastructure']],
  [
    'a lost node with an exit code',
    failed('NodeLost', { infrastructure: true, exitCode: 137 }),
    ['Any', 'Infrastructure', '137'],
  ],
];
const ENTRIES = ['Any', 'Error', 'Infrastructure', '0', '1', '75', '137'];

for (const [what, seen, on] of cases) {
  test(`retry.causes: ${what} is tried again on ${on.join(', ')}`, () => {
    for (const entry of ENTRIES) {
      const run = takeOn({ steps: [step('a', { retry: { limit: 1, causes: [entry] } })] });
      run.at(0);
      run.at(1, { a: seen });
      assert.equal(run.step('a').phase, on.includes(entry) ? 'Running' : 'Failed', entry);
    }
  });
}

test('retry.causes: any of several entries is enough, and no entries are Any', () => {
  const isRetried = (retry: object, result: Partial<Result>) => {
    const run = takeOn({ steps: [step('a', { retry: { limit: 1, ...retry } })] });
    run.at(0);
    run.at(1, { a: failed('ExitCode', result) });
    return run.step('a').reason === 'Retrying';
  };
  assert.equal(isRetried({ causes: ['Infrastructure', '75'] }, { exitCode: 75 }), true);
  assert.equal(isRetried({ causes: ['Infrastructure', '75'] }, { exitCode: 7 }), false);
  assert.equal(isRetried({}, { exitCode: 7 }), true);
  assert.equal(isRetried({}, { infrastructure: true }), true);
});

test('retry.causes: what never began is tried five times without counting, and then as Infrastructure', () => {
  for (const [on, phase] of [
    ['Infrastructure', 'Running'],
    ['Error', 'Failed'],
  ] as const) {
    const run = takeOn({
      steps: [step('a', { retry: { limit: 1, causes: [on], backoff: { initial: '0s' } } })],
    });
    run.at(0);
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      run.at(attempt * SECOND, { a: evicted });
      run.at(attempt * SECOND + 1);
      assert.equal(run.step('a').attempt, attempt + 1);
    }
    run.at(MINUTE, { a: evicted });
    assert.equal(run.step('a').phase, phase);
  }
});

test('retry.causes: a step that could not begin in time is Infrastructure, one that ran too long is Error', () => {
  const phaseOf = (on: string, seen: Observation, wait: number) => {
    const run = takeOn({ steps: [step('a', { timeout: '1h', retry: { limit: 1, causes: [on] } })] });
    run.at(0);
    run.at(wait, { a: seen });
    run.at(wait + SECOND, { a: failed('Killed') });
    return run.step('a').phase;
  };
  const stuck = waiting('ImagePullBackOff');
  assert.equal(phaseOf('Infrastructure', stuck, 5 * MINUTE), 'Running');
  assert.equal(phaseOf('Error', stuck, 5 * MINUTE), 'Failed');
  assert.equal(phaseOf('Infrastructure', { state: 'Running' }, HOUR + 6 * MINUTE), 'Failed');
  assert.equal(phaseOf('Error', { state: 'Running' }, HOUR + 6 * MINUTE), 'Running');
});

test('the next attempt waits as long as the other side asks, at most an hour, and never less than the backoff', () => {
  const cases: [retryAfterMs: number, least: number, most: number][] = [
    [0, 8 * SECOND, 10 * SECOND],
    [SECOND, 8 * SECOND, 10 * SECOND],
    [30 * SECOND, 30 * SECOND, 30 * SECOND],
    [25 * HOUR, HOUR, HOUR],
  ];
  for (const [retryAfterMs, least, most] of cases) {
    const run = takeOn({ steps: [step('a', { retry: { limit: 1 } })] });
    run.at(0);
    run.at(SECOND, { a: failed('HTTP429', { retryAfterMs }) });
    const wait = (run.wake() ?? 0) - SECOND;
    assert.ok(wait >= least && wait <= most, `${retryAfterMs} became ${wait}`);
  }
});

test('a retry after a success is none, whatever the other side asks', () => {
  const run = takeOn({ steps: [step('a', { retry: { limit: 1 } })] });
  run.at(0);
  run.at(1, { a: succeeded({ retryAfterMs: HOUR }) });
  assert.equal(run.status.phase, 'Succeeded');
});
