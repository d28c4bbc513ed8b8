import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeKeys, ringOf } from './fake-keys.ts';
import { createGrants } from './grants.ts';
import { createSeals } from './seals.ts';

test('a seal is known again, and no other is', () => {
  const seals = createSeals(fakeKeys('one'));
  const seal = seals.seal('vote', 'text');
  assert.equal(seals.isOurs('vote', 'text', seal), true);
  assert.equal(seals.isOurs('vote', 'other text', seal), false);
  assert.equal(seals.isOurs('creator', 'text', seal), false);
  assert.equal(seals.isOurs('vote', 'text', `${seal.startsWith('A') ? 'B' : 'A'}${seal.slice(1)}`), false);
  for (const none of ['', 'x', seal.slice(1), `${seal}AA`])
    assert.equal(seals.isOurs('vote', 'text', none), false);
});

test('seals outlive the key that made them as long as it is there', () => {
  const keys = fakeKeys('one');
  const seal = createSeals(keys).seal('vote', 'text');
  keys.next = ringOf('one', 'two');
  void keys.refresh();
  assert.equal(createSeals(keys).isOurs('vote', 'text', seal), true);
  assert.notEqual(createSeals(keys).seal('vote', 'text'), seal);
  keys.next = ringOf('two');
  void keys.refresh();
  assert.equal(createSeals(keys).isOurs('vote', 'text', seal), false);
});

test('what was signed for a pod is no seal', () => {
  const keys = fakeKeys('one');
  const grant = createGrants(keys).sign({
    namespace: 'ns',
    pod: 'p',
    run: { name: 'r', uid: 'u' },
    row: 'plan',
    attempt: 1,
    project: 'api',
    source: 's',
    managed: true,
    stateVersions: 1,
  });
  const [body = '', signature = ''] = grant.split('.');
  assert.equal(createSeals(keys).isOurs('vote', body, signature), false);
});
