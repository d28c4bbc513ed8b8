import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Result } from '../engine/model.ts';
import { fakeClock, settled } from '../kube/fake-clock.ts';
import { stepTypes } from '../steps/index.ts';
import type { CallContext, CallStepType } from '../steps/step-type.ts';
import { createCallAttempts } from './call-attempts.ts';
import { revisionOf, runOf, startOf } from './fake-run.ts';

const revision = revisionOf();
const ok: Result = { outcome: 'Succeeded', reason: 'Completed', finishedAt: 0 };
const step = { name: 's', timeout: '30s', slack: { channel: '#c' } };

/** One call that a test answers. */
interface Pending {
  context: CallContext;
  end: (result: Result) => void;
  fail: (error: Error) => void;
}

/** Calls that wait for the test to answer them, of a step that may be made again after an interruption or not. */
function callsOf({
  onInterrupt = 'Fail',
  isLeader = () => true,
}: {
  onInterrupt?: 'Retry' | 'Fail';
  isLeader?: () => boolean;
} = {}) {
  const made: Pending[] = [];
  const ended: string[] = [];
  const clock = fakeClock();
  const fake: CallStepType = {
    kind: 'Call',
    resolve: (spec) => spec,
    onInterrupt: () => onInterrupt,
    call(_, context) {
      const { promise, resolve, reject } = Promise.withResolvers<Result>();
      made.push({ context, end: resolve, fail: reject });
      return promise;
    },
  };
  const contextOf = (run: { name: string }, { id }: { id: string }, _: unknown, signal: AbortSignal) =>
    ({ idempotencyKey: id, run: { name: run.name }, signal }) as CallContext;
  const attempts = createCallAttempts({
    stepTypes: { ...stepTypes, slack: fake },
    contextOf,
    isLeader,
    onEnded: (key) => ended.push(key),
    now: () => clock.now(),
    clock,
  });
  const run = runOf();
  const stateOf = (id: string) => attempts.observe(run, id).state;
  const resultOf = (id: string) => {
    const seen = attempts.observe(run, id);
    assert.ok(seen.state === 'Ended', seen.state);
    return seen.result;
  };
  const begin = async (...ids: string[]) => {
    for (const id of ids) attempts.begin(run, id);
    for (const id of ids) assert.equal(await attempts.start(run, startOf(step, id), revision), undefined);
    await settled();
  };
  const start = (id: string) => attempts.start(run, startOf(step, id), revision);
  const stop = (id: string) =>
    attempts.stop(run, { type: 'Stop', step: 's', stepType: 'slack', attempt: 1, id });
  return { attempts, made, ended, clock, run, stateOf, resultOf, begin, start, stop };
}

suite('a call', () => {
  test('is made once, and its result is there until the status has it', async () => {
    const { attempts, made, ended, run, stateOf, resultOf, begin, start } = callsOf();
    await begin('a');
    await start('a');
    assert.equal(stateOf('a'), 'Running');
    assert.deepEqual(
      made.map(({ context }) => context.idempotencyKey),
      ['a'],
    );
    made[0]?.end(ok);
    await settled();
    assert.deepEqual(ended, ['ns/r']);
    await attempts.close(run, new Set(['a']));
    assert.deepEqual(resultOf('a'), ok);
    await attempts.close(run, new Set());
    assert.equal(stateOf('a'), 'Absent');
  });

  test('that was written down and not made, as the reconcile failed, is made by the next', async () => {
    const { attempts, made, run, start } = callsOf({ onInterrupt: 'Fail' });
    attempts.begin(run, 'a');
    await start('a');
    await settled();
    assert.equal(made.length, 1);
  });

  test('that another process was at is not made again, and says why', async () => {
    const { made, resultOf, start } = callsOf({ onInterrupt: 'Fail' });
    assert.equal(await start('a'), 0, 'there is something new to see');
    await settled();
    assert.equal(made.length, 0);
    const { outcome, reason, message, infrastructure } = resultOf('a');
    assert.deepEqual([outcome, reason, infrastructure], ['Failed', 'Interrupted', true]);
    assert.match(message ?? '', /nobody knows whether the request arrived.*onInterrupt: Retry/);
  });

  test('that another process was at is made again as the same where that does no harm', async () => {
    const { made, start } = callsOf({ onInterrupt: 'Retry' });
    assert.equal(await start('a'), undefined);
    await settled();
    assert.equal(made[0]?.context.idempotencyKey, 'a');
  });

  test('ends with its timeout, also when it does not heed it', async () => {
    const { made, clock, resultOf, stateOf, begin } = callsOf();
    await begin('a');
    await clock.advance(29_999);
    assert.equal(stateOf('a'), 'Running');
    await clock.advance(1);
    assert.equal(made[0]?.context.signal.aborted, true);
    const { outcome, reason, message } = resultOf('a');
    assert.deepEqual([outcome, reason], ['Failed', 'DeadlineExceeded']);
    assert.equal(message, 'The step ran longer than its timeout of 30s.');
  });

  test('ends when it is stopped', async () => {
    const { made, ended, resultOf, begin, stop } = callsOf();
    await begin('a');
    await stop('a');
    await settled();
    assert.equal(made[0]?.context.signal.aborted, true);
    assert.equal(resultOf('a').reason, 'Stopped');
    assert.deepEqual(ended, ['ns/r']);
  });

  test('that ended by itself keeps its result when it is stopped late', async () => {
    const { made, resultOf, begin, stop } = callsOf();
    await begin('a');
    made[0]?.end(ok);
    await settled();
    await stop('a');
    assert.deepEqual(resultOf('a'), ok);
  });

  test('that breaks is a failure and no more', async () => {
    const { made, resultOf, begin } = callsOf();
    await begin('a');
    made[0]?.fail(new TypeError('no such thing'));
    await settled();
    assert.deepEqual([resultOf('a').reason, resultOf('a').message], ['InternalError', 'no such thing']);
  });

  test('is not made when the lease is lost', async () => {
    const { made, begin } = callsOf({ isLeader: () => false });
    await begin('a');
    assert.equal(made.length, 0);
  });
});

suite('many calls', () => {
  const ids = Array.from({ length: 300 }, (_, index) => `c${index}`);

  test('are made some hundred at a time, and the others wait for their turn', async () => {
    const { attempts, made, stateOf, begin } = callsOf();
    await begin(...ids);
    assert.equal(made.length, 256);
    assert.deepEqual([attempts.open, attempts.waiting], [256, 44]);
    assert.equal(stateOf('c255'), 'Running');
    assert.equal(stateOf('c256'), 'Starting');
    made[7]?.end(ok);
    await settled();
    assert.equal(stateOf('c256'), 'Running');
    for (const { end } of made) end(ok);
    await settled();
    for (const { end } of made) end(ok);
    await settled();
    assert.equal(made.length, 300);
    assert.deepEqual([attempts.open, attempts.waiting], [0, 0]);
  });

  test('that are stopped while they wait are never made', async () => {
    const { made, resultOf, begin, stop } = callsOf();
    await begin(...ids);
    await stop('c299');
    await settled();
    assert.equal(resultOf('c299').reason, 'Stopped');
    for (const { end } of made) end(ok);
    await settled();
    assert.equal(made.length, 299);
  });

  test('have the whole timeout from when it is their turn', async () => {
    const { made, clock, stateOf, begin } = callsOf();
    await begin(...ids);
    await clock.advance(20_000);
    made[0]?.end(ok);
    await clock.advance(20_000);
    assert.equal(stateOf('c256'), 'Running');
    assert.equal(stateOf('c1'), 'Ended');
  });
});

suite('what is left', () => {
  test('of an attempt that the status gave up is broken off', async () => {
    const { attempts, made, run, stateOf, begin } = callsOf();
    await begin('a', 'b');
    await attempts.close(run, new Set(['b']));
    assert.deepEqual(
      made.map(({ context }) => context.signal.aborted),
      [true, false],
    );
    assert.equal(stateOf('a'), 'Absent');
  });

  test('of a run that is gone is broken off', async () => {
    const { attempts, made, run, begin } = callsOf();
    await begin('a');
    attempts.forget(run.uid);
    assert.equal(made[0]?.context.signal.aborted, true);
  });
});

suite('the end of the operator', () => {
  test('waits until the results are written', async () => {
    const { attempts, made, run, begin } = callsOf();
    await begin('a');
    let drained = false;
    const draining = attempts.drain(5000).then(() => (drained = true));
    made[0]?.end(ok);
    await settled();
    assert.equal(drained, false, 'the result is not written');
    await attempts.close(run, new Set());
    await draining;
  });

  test('breaks off what takes longer, without a word: the next leader finds it interrupted', async () => {
    const { attempts, made, ended, clock, stateOf, begin } = callsOf();
    await begin('a');
    const draining = attempts.drain(5000);
    await clock.advance(5000);
    await draining;
    await settled();
    assert.equal(made[0]?.context.signal.aborted, true);
    assert.equal(stateOf('a'), 'Running');
    assert.deepEqual(ended, []);
  });

  test('does not wait for nothing', async () => {
    const { attempts } = callsOf();
    await attempts.drain(5000);
  });
});
