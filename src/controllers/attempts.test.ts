import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { StepKind } from '../engine/model.ts';
import { jobName } from '../engine/names.ts';
import { createAttempts } from './attempts.ts';
import type { Executor } from './executor.ts';
import { revisionOf, runOf, running, startOf } from './fake-run.ts';

/** Executors that only note what they are asked for, and know one UID. */
function noting() {
  const asked: string[] = [];
  const executor = (kind: StepKind): Executor => ({
    observe(_, id) {
      asked.push(`${kind} observe ${id}`);
      return { state: 'Running' };
    },
    begin: (_, id) => void asked.push(`${kind} begin ${id}`),
    start: async (_, { id }) => void asked.push(`${kind} start ${id}`),
    stop: async (_, { id }) => void asked.push(`${kind} stop ${id}`),
    close: async (_, current) => void asked.push(`${kind} close all but ${[...current].join()}`),
    forget: (uid) => void asked.push(`${kind} forget ${uid}`),
    uidOf: (_, id) => `uid of ${id}`,
  });
  const attempts = createAttempts(
    { Job: executor('Job'), Call: executor('Call'), Run: executor('Run') },
    { votesOn: () => [], forget: () => undefined },
  );
  return { attempts, asked };
}

const build = running('build', 'script', { job: { name: 'r-build-1' } });
const call = running('call', 'workflow', { run: { name: 'r-call-1' } });

suite('each attempt', () => {
  test('is observed in the way of its type, under the name of its row', () => {
    const { attempts, asked } = noting();
    const seen = attempts.observe(runOf({ steps: [build, call] }));
    assert.deepEqual([...seen.keys()], ['build', 'call']);
    assert.deepEqual(asked, ['Job observe r-build-1', 'Run observe r-call-1']);
  });

  test('is one that is under way', () => {
    const { attempts, asked } = noting();
    attempts.observe(
      runOf({
        steps: [
          { ...build, phase: 'Succeeded' },
          { ...build, retryAt: '2030-01-01T00:00:00.000Z' },
          // A step with forEach has no attempt of its own.
          { name: 'each', type: 'script', phase: 'Running' },
          { name: 'choice', type: 'condition', phase: 'Pending' },
        ],
      }),
    );
    assert.deepEqual(asked, []);
  });

  test('is named as the engine names it where it is no object', () => {
    const { attempts, asked } = noting();
    const run = runOf({ round: 2, steps: [running('tell', 'slack')] });
    attempts.observe(run);
    assert.deepEqual(asked, [`Call observe ${jobName(run, 'tell', 1, 2)}`]);
  });

  test('is started and stopped in the way of its type', async () => {
    const { attempts, asked } = noting();
    const run = runOf();
    await attempts.start(run, startOf({ name: 'call', workflow: { name: 'w' } }, 'i'), revisionOf());
    await attempts.stop(run, { type: 'Stop', step: 'call', stepType: 'workflow', attempt: 1, id: 'i' });
    assert.deepEqual(asked, ['Run start i', 'Run stop i']);
  });
});

test('what the status names already is not new to it: another process may have started that', () => {
  const { attempts, asked } = noting();
  const script = { name: 'build', script: { bash: 'true' } };
  const effects = [startOf(script, 'r-build-1'), startOf(script, 'r-test-1')];
  attempts.begin(runOf({ steps: [build] }), effects);
  assert.deepEqual(asked, ['Job begin r-test-1']);
});

suite('what is closed', () => {
  test('is all but what is under way', async () => {
    const { attempts, asked } = noting();
    await attempts.close(runOf({ steps: [build, { ...call, phase: 'Failed' }] }));
    assert.deepEqual(
      asked,
      ['Job', 'Call', 'Run'].map((kind) => `${kind} close all but r-build-1`),
    );
  });

  test('is forgotten at the end of the run, but for notifications that go on', async () => {
    const finishedAt = '2030-01-01T00:00:00.000Z';
    const { attempts, asked } = noting();
    const notifications = [running('onSuccess[0]', 'slack')];
    await attempts.close(runOf({ finishedAt, steps: [build], notifications }));
    assert.deepEqual(
      asked.filter((line) => line.includes('forget')),
      [],
    );
    await attempts.close(runOf({ finishedAt, steps: [build] }));
    assert.deepEqual(asked.slice(-3), ['Job forget run', 'Call forget run', 'Run forget run']);
  });
});

test('the UIDs of what was started go into the status', () => {
  const { attempts } = noting();
  const known = { ...build, name: 'known', job: { name: 'j', uid: 'u' } };
  const { steps } = attempts.withUids(runOf(), { steps: [build, call, known] });
  assert.deepEqual(
    steps?.map(({ job, run }) => (job ?? run)?.uid),
    ['uid of r-build-1', 'uid of r-call-1', 'u'],
  );
});
