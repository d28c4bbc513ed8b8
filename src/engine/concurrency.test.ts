import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { CONCURRENCY_POLICIES } from '../api/concurrency.ts';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import {
  blockersOf,
  type Contender,
  compareTurns,
  defaultKey,
  isDeadlock,
  judge,
  keyFor,
  type Limit,
  leaveLine,
  replacerOf,
  stageOf,
  startedRun,
  turnedAwayRun,
  waitingRun,
} from './concurrency.ts';
import { compile } from './graph.ts';
import type { RunContext } from './model.ts';
import { resolvers } from './model-shell.ts';
import { step, T0, time } from './turns.ts';

const contender = (name: string, more: Partial<Contender> = {}): Contender => ({
  name,
  policy: 'Queue',
  stage: 'New',
  askedAt: T0,
  since: time(0),
  child: false,
  leaving: false,
  ...more,
});
const active = (name: string, more: Partial<Contender> = {}) =>
  contender(name, { stage: 'Active', activeSince: time(5000), ...more });
const waiting = (name: string, more: Partial<Contender> = {}) =>
  contender(name, { stage: 'Waiting', ...more });
const me = (more: Partial<Contender> = {}) => contender('me', { askedAt: T0 + 60_000, ...more });

suite('a run of policy Queue', () => {
  test('starts where it is alone', () => {
    assert.deepEqual(judge(me(), [], []), { type: 'Start' });
  });

  test('waits for the active one, and says since when that is', () => {
    assert.deepEqual(judge(me(), [active('a')], []), {
      type: 'Wait',
      blockedBy: { kind: 'Run', run: 'a', since: time(5000) },
      reason: 'WaitsForRun',
      message: 'Waits for run a, active since 2030-01-01T00:00:05.000Z.',
    });
  });

  test('waits for the one directly before it', () => {
    const others = [active('a'), waiting('b', { askedAt: T0 + 1 }), waiting('c', { askedAt: T0 + 2 })];
    const verdict = judge(me(), others, []);
    assert.equal(
      verdict.type === 'Wait' && verdict.message,
      'Waits for run c, waiting since 2030-01-01T00:00:00.002Z.',
    );
  });

  test('passes those behind it, and those on their way out', () => {
    const behind = waiting('z', { askedAt: T0 + 70_000 });
    assert.deepEqual(judge(me(), [behind, waiting('a', { leaving: true })], []), { type: 'Start' });
  });

  test('waits for one that is active and on its way out: it has not ended', () => {
    assert.equal(judge(me(), [active('a', { leaving: true })], []).type, 'Wait');
  });

  test('waits for one that was created before it and is not accepted yet', () => {
    assert.equal(judge(me(), [contender('a')], []).type, 'Wait');
    assert.equal(judge(me(), [contender('z', { askedAt: T0 + 70_000 })], []).type, 'Start');
  });

  test('of the same second goes by its name', () => {
    assert.equal(judge(contender('b'), [waiting('a')], []).type, 'Wait');
    assert.equal(judge(contender('b'), [waiting('c')], []).type, 'Start');
  });

  test('that a step started goes before those that people started, but for active ones', () => {
    const child = me({ child: true });
    assert.equal(judge(child, [waiting('a')], []).type, 'Start');
    assert.equal(judge(child, [waiting('a'), active('b')], []).type, 'Wait');
    assert.equal(judge(child, [waiting('a', { child: true })], []).type, 'Wait');
    assert.equal(judge(contender('a'), [waiting('z', { child: true, askedAt: T0 + 1 })], []).type, 'Wait');
  });
});

test('a run of policy Allow waits for nobody', () => {
  assert.deepEqual(judge(me({ policy: 'Allow' }), [active('a'), waiting('b')], []), { type: 'Start' });
});

suite('a run of policy Forbid', () => {
  const forbid = me({ policy: 'Forbid' });

  test('is refused beside an active one, which is named', () => {
    assert.deepEqual(judge(forbid, [waiting('b'), active('a')], []), {
      type: 'Refuse',
      reason: 'ConcurrencyForbid',
      message:
        'Run a of the same concurrency key is active since 2030-01-01T00:00:05.000Z: try again when it has ended.',
    });
  });

  test('is refused beside one that waits, even if that was asked for later', () => {
    assert.equal(judge(forbid, [waiting('b', { askedAt: T0 + 70_000 })], []).type, 'Refuse');
  });

  test('takes no notice of one that is not accepted, or is on its way out', () => {
    assert.equal(judge(forbid, [contender('a'), waiting('b', { leaving: true })], []).type, 'Start');
  });

  test('is not refused any more once it waits for its turn', () => {
    const others = [waiting('b', { askedAt: T0 + 70_000 })];
    assert.equal(judge({ ...forbid, stage: 'Waiting' }, others, []).type, 'Start');
    assert.equal(judge({ ...forbid, stage: 'Waiting' }, [active('a')], []).type, 'Wait');
  });
});

suite('limits', () => {
  const limit = (more: Partial<Limit>): Limit => ({
    kind: 'NamespaceLimit',
    most: 3,
    active: 0,
    ahead: 0,
    ...more,
  });

  test('a run waits where so many are active, and says how many of how many', () => {
    assert.deepEqual(judge(me(), [], [limit({ active: 3 })]), {
      type: 'Wait',
      blockedBy: { kind: 'NamespaceLimit', limit: 3 },
      reason: 'NamespaceLimit',
      message: '3 of 3 runs of this namespace are active.',
    });
  });

  test('a run lets those go first that wait for the same place', () => {
    assert.equal(judge(me(), [], [limit({ active: 1, ahead: 1 })]).type, 'Start');
    const verdict = judge(me(), [], [limit({ active: 1, ahead: 2 })]);
    assert.equal(
      verdict.type === 'Wait' && verdict.message,
      '1 of 3 runs of this namespace are active, and 2 that waited before it start first.',
    );
  });

  test('the narrowest is named, and the runs of the same key come before all of them', () => {
    const full = [limit({ kind: 'WorkflowLimit', active: 3 }), limit({ kind: 'ClusterLimit', active: 9 })];
    const alone = judge(me(), [], full);
    assert.equal(alone.type === 'Wait' && alone.reason, 'WorkflowLimit');
    const second = judge(me(), [active('a')], full);
    assert.equal(second.type === 'Wait' && second.reason, 'WaitsForRun');
  });
});

suite('policy Replace', () => {
  const replace = { policy: 'Replace' } as const;

  test('takes the place of those before it, whatever their policy', () => {
    const newer = waiting('n', { ...replace, askedAt: T0 + 1 });
    assert.equal(replacerOf(active('a'), [newer])?.name, 'n');
    assert.equal(replacerOf(waiting('a'), [newer])?.name, 'n');
    assert.equal(replacerOf(newer, [active('a', replace)]), undefined);
  });

  test('is that of the newest, and not of one that is not accepted or on its way out', () => {
    const others = [
      waiting('n1', { ...replace, askedAt: T0 + 1 }),
      waiting('n3', { ...replace, askedAt: T0 + 3, leaving: true }),
      waiting('n2', { ...replace, askedAt: T0 + 2 }),
      contender('n4', { ...replace, askedAt: T0 + 4 }),
    ];
    assert.equal(replacerOf(active('a'), others)?.name, 'n2');
  });

  test('goes, in the same second, by which was let in later', () => {
    const first = active('z', { ...replace, since: time(10) });
    const second = waiting('a', { ...replace, since: time(20) });
    assert.equal(replacerOf(first, [second])?.name, 'a');
    assert.equal(replacerOf(second, [first]), undefined);
  });
});

suite('waiting that would never end', () => {
  const edges: Record<string, string[]> = { b: ['c', 'd'], c: [], d: ['b', 'parent'] };
  const waitsFor = (run: string) => edges[run] ?? [];

  test('is seen through others, and in circles', () => {
    assert.equal(isDeadlock(['b'], new Set(['parent']), waitsFor), true);
    assert.equal(isDeadlock(['parent'], new Set(['parent']), waitsFor), true);
    assert.equal(isDeadlock(['b'], new Set(['other']), waitsFor), false);
    assert.equal(isDeadlock(['c'], new Set(['parent']), waitsFor), false);
  });
});

suite('keys', () => {
  const run: RunContext = {
    name: 'r',
    namespace: 'ns',
    uid: 'u',
    workflow: 'w',
    params: { region: 'us' },
    trigger: { type: 'GitPush', git: { branch: 'main' } },
  };
  const graphOf = (concurrency: object) => {
    const params = [{ name: 'region' }];
    const compiled = compile({ params, concurrency, steps: [step('a')] }, resolvers);
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
    return compiled.graph;
  };

  test('are those of the workflow by default', () => {
    assert.deepEqual(keyFor(graphOf({}), run), { key: 'workflow/w' });
    assert.equal(defaultKey('w'), 'workflow/w');
  });

  test('are made of params, trigger, run and workflow', () => {
    const key = '${{ workflow.name }}-${{ params.region }}-${{ trigger.git.branch }}-${{ run.namespace }}';
    assert.deepEqual(keyFor(graphOf({ key }), run), { key: 'key/w-us-main-ns' });
  });

  test('that can not be worked out or are empty say so', () => {
    const absent = keyFor(graphOf({ key: '${{ trigger.by }}' }), run);
    assert.match(
      'error' in absent ? absent.error : '',
      /^spec\.concurrency\.key: \$\{\{ trigger\.by \}\}: .*by/,
    );
    const empty = keyFor(graphOf({ key: '${{ "" }}' }), run);
    assert.match('error' in empty ? empty.error : '', /empty text/);
  });

  test('that are long stay different', () => {
    const key = '${{ params.region }}';
    const keys = ['a', 'b'].map((end) =>
      keyFor(graphOf({ key }), { ...run, params: { region: 'x'.repeat(600) + end } }),
    );
    const texts = keys.map((one) => ('key' in one ? one.key : ''));
    assert.deepEqual(
      texts.map(({ length }) => length <= 512),
      [true, true],
    );
    assert.notEqual(texts[0], texts[1]);
  });
});

suite('the status of a run', () => {
  const accepted: WorkflowRunStatus = {
    phase: 'Running',
    revision: 'w-1',
    startedAt: time(0),
    steps: [{ name: 'a', type: 'script', phase: 'Pending' }],
  };
  const place = { key: 'workflow/w', policy: 'Queue', since: time(0) } as const;
  const verdict = judge(me(), [active('a')], []);
  assert.ok(verdict.type === 'Wait');
  const queued = waitingRun(accepted, place, verdict, T0);

  test('that waits says for what, and has not started', () => {
    assert.equal(queued.phase, 'Queued');
    assert.equal(queued.reason, 'WaitsForRun');
    assert.equal(queued.startedAt, undefined);
    assert.deepEqual(queued.queue, { ...place, blockedBy: verdict.blockedBy });
    assert.equal(queued.conditions?.[0]?.reason, 'Queued');
  });

  test('that starts counts from then', () => {
    const started = startedRun(queued, place, T0 + 9000);
    assert.equal(started.startedAt, time(9000));
    assert.equal(started.reason, undefined);
    assert.deepEqual(started.queue, place);
    assert.equal(started.resumedAt, undefined);
  });

  test('that is continued started before, and its timeout counts anew', () => {
    const continued: WorkflowRunStatus = { ...accepted, phase: 'Pending', round: 1, resumedAt: time(100) };
    const waits = waitingRun(continued, place, verdict, T0 + 100);
    assert.equal(waits.startedAt, time(0));
    const started = startedRun(waits, place, T0 + 9000);
    assert.equal(started.startedAt, time(0));
    assert.equal(started.resumedAt, time(9000));
  });

  test('that is not let in ends as Cancelled, and its steps are skipped', () => {
    const refused = turnedAwayRun(
      queued,
      { type: 'Refuse', reason: 'ConcurrencyForbid', message: 'why' },
      T0,
    );
    assert.equal(refused.phase, 'Cancelled');
    assert.equal(refused.reason, 'ConcurrencyForbid');
    assert.equal(refused.finishedAt, time(0));
    assert.deepEqual(
      refused.steps?.map(({ phase, reason }) => `${phase} ${reason}`),
      ['Skipped ConcurrencyForbid'],
    );
    assert.equal(stageOf(refused), 'Ended');
  });

  test('that leaves the line is blocked by nothing', () => {
    assert.deepEqual(leaveLine(queued).queue, place);
    assert.equal(leaveLine(accepted), accepted);
  });

  test('tells where it stands', () => {
    assert.equal(stageOf({}), 'New');
    assert.equal(stageOf({ phase: 'Pending' }), 'Waiting');
    assert.equal(stageOf(queued), 'Waiting');
    assert.equal(stageOf(accepted), 'Active');
  });
});

const anyContender = fc.record({
  name: fc.string({ minLength: 1, maxLength: 3 }),
  policy: fc.constantFrom(...CONCURRENCY_POLICIES),
  stage: fc.constantFrom('New' as const, 'Waiting' as const, 'Active' as const),
  askedAt: fc.integer({ min: 0, max: 3 }),
  since: fc.constantFrom('1', '2', '3'),
  child: fc.boolean(),
  leaving: fc.boolean(),
});
const line = fc.uniqueArray(anyContender, { selector: ({ name }) => name, minLength: 1, maxLength: 8 });

test('turns are one order for all, so that nobody waits in a circle', () => {
  fc.assert(
    fc.property(line, (runs) => {
      const sorted = runs.toSorted(compareTurns);
      for (const [index, run] of sorted.entries()) {
        for (const later of sorted.slice(index + 1)) {
          assert.ok(compareTurns(run, later) < 0 && compareTurns(later, run) > 0);
        }
      }
      const accepted = runs.filter(({ stage, leaving }) => stage === 'Waiting' && !leaving);
      const rest = runs.filter(({ stage }) => stage !== 'Active');
      // Without an active one somebody can always start.
      if (accepted.length === 0) return;
      const first = [...accepted].sort(compareTurns)[0];
      assert.ok(first);
      const others = rest.filter((run) => run !== first && run.stage !== 'New');
      assert.equal(judge(first, others, []).type, 'Start');
    }),
  );
});

test('of runs that must not run side by side at most one finds nobody in its way', () => {
  fc.assert(
    fc.property(line, (runs) => {
      const queue = runs.map((run) => ({ ...run, policy: 'Queue' as const, leaving: false }));
      const free = queue.filter(
        (run) => run.stage !== 'Active' && blockersOf(run, others(queue, run)).length === 0,
      );
      assert.ok(free.length <= 1, JSON.stringify(free));
      if (queue.some(({ stage }) => stage === 'Active')) assert.equal(free.length, 0);
    }),
  );
});

test('of several that replace each other exactly one is left', () => {
  fc.assert(
    fc.property(line, (runs) => {
      const replacing = runs.map((run) => ({ ...run, policy: 'Replace' as const, leaving: false }));
      const accepted = replacing.filter(({ stage }) => stage !== 'New');
      const left = accepted.filter((run) => !replacerOf(run, others(replacing, run)));
      assert.equal(left.length, Math.min(1, accepted.length));
    }),
  );
});

const others = (runs: readonly Contender[], run: Contender) => runs.filter((other) => other !== run);
