import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { isStorageError } from './errors.ts';
import { fakeStorage, terraformState } from './fake-storage.ts';
import { lockInfoSchema } from './state-head.ts';
import { runStateCommand, StateCommandError } from './state-command.ts';

const key = { namespace: 'team-a', project: 'network', workspace: 'default' };
const holder = { pod: 'deploy-1-apply-1', podUid: 'pod-uid-1', run: 'deploy-1', step: 'apply' };
const info = lockInfoSchema.parse({ ID: 'lock-1' });

async function shell(t: TestContext) {
  const { storage } = await fakeStorage(t);
  const state = async (line: string, input: Buffer = Buffer.alloc(0)): Promise<string> => {
    const printed: Buffer[] = [];
    await runStateCommand(line.split(' '), {
      open: async () => storage.states,
      input: async () => input,
      output: (content) => void printed.push(Buffer.from(content)),
      host: 'operator-0',
      now: () => Date.UTC(2026, 0, 1),
    });
    return Buffer.concat(printed).toString();
  };
  return { state, states: storage.states };
}

const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof StateCommandError && pattern.test(error.message);

test('a state that is imported can be exported, listed, and goes on from there', async (t) => {
  const { state, states } = await shell(t);
  assert.match(await state('import team-a network', terraformState(7)), /imported serial 7/);
  assert.equal(await state('export team-a network'), terraformState(7).toString());
  assert.match(await state('list'), /^team-a +network +default +7 +1 +20\S+ +-$/m);
  await states.lock(key, info, holder);
  await states.write(key, { content: terraformState(8), lockId: 'lock-1', holder, keep: 5 });
  const versions = await state('versions team-a network');
  assert.match(versions, /^1 +7 +lineage-1 +\d+ +\S+ +- +import +sha256:/m);
  assert.match(versions, /^2 +8 +lineage-1 +\d+ +\S+ +deploy-1 +apply +sha256:/m);
  assert.equal(await state('export team-a network --version 1'), terraformState(7).toString());
  await assert.rejects(state('export team-a network --version 3'), refused(/has no version 3 any more/));
});

test('a state that is there is replaced by force alone, and its versions stay', async (t) => {
  const { state } = await shell(t);
  await state('import team-a network', terraformState(7));
  await assert.rejects(
    state('import team-a network', terraformState(1, 'lineage-2')),
    refused(/serial 7 of lineage lineage-1: --force puts this one on top/),
  );
  await state('import team-a network --force', terraformState(1, 'lineage-2'));
  assert.equal(await state('export team-a network'), terraformState(1, 'lineage-2').toString());
  assert.equal(await state('export team-a network --version 1'), terraformState(7).toString());
  await assert.rejects(state('import team-a network', Buffer.from('x')), (error) =>
    isStorageError(error, 'StateInvalid'),
  );
  assert.match(await state('list'), / -$/m);
});

test('a lock keeps imports out until a person breaks it', async (t) => {
  const { state, states } = await shell(t);
  await states.lock(key, info, holder);
  await assert.rejects(
    state('import team-a network --force', terraformState(1)),
    refused(/is locked: held by pod deploy-1-apply-1 of run deploy-1, step apply/),
  );
  assert.match(await state('list'), /lock-1 \(held by pod deploy-1-apply-1/);
  await assert.rejects(state('unlock team-a network lock-2'), refused(/under another ID/));
  assert.match(await state('unlock team-a network lock-1'), /is broken/);
  assert.match(await state('unlock team-a network lock-1'), /is not locked/);
  await state('import team-a network', terraformState(1));
});

test('states that could not be written are listed and exported', async (t) => {
  const { state, states } = await shell(t);
  await states.keepErrored(key, terraformState(9), holder);
  assert.match(await state('versions team-a network'), /^1 +\d+ +\S+ +deploy-1 +apply +deploy-1-apply-1$/m);
  assert.equal(await state('export team-a network --errored 1'), terraformState(9).toString());
  await assert.rejects(state('export team-a network --errored 2'), refused(/no errored state 2/));
  await assert.rejects(state('export team-a network'), refused(/has no version yet/));
});

test('a command that is given wrongly opens nothing', async () => {
  const means = {
    open: () => assert.fail('it was opened'),
    input: async () => Buffer.alloc(0),
    output: () => assert.fail('it printed'),
    host: 'operator-0',
    now: () => 0,
  };
  for (const args of [
    [],
    ['help'],
    ['unlock', 'a', 'b'],
    ['export', 'a', 'b', 'c'],
    ['toString', 'a', 'b'],
  ]) {
    await assert.rejects(runStateCommand(args, means), refused(/The states that Signalbox keeps/));
  }
});

test('workspaces are apart, and mistakes are answered with what there is', async (t) => {
  const { state } = await shell(t);
  await state('import team-a network --workspace staging', terraformState(1));
  await assert.rejects(state('export team-a network'), refused(/there is no state of workspace default/));
  for (const line of [
    '',
    'help',
    'export',
    'export team-a',
    'unlock team-a network',
    'export a b --colour',
  ]) {
    await assert.rejects(state(line), refused(/state versions NAMESPACE PROJECT/));
  }
  await assert.rejects(state('export team-a network --version 0'), refused(/no number of a version/));
});
