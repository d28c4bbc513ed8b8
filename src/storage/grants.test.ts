import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { fakeKeys, keyNamed, ringOf } from './fake-keys.ts';
import { createGrants, type Grant } from './grants.ts';

const grant: Grant = {
  namespace: 'team-a',
  pod: 'deploy-x7k2p-plan-1',
  run: { name: 'deploy-x7k2p', uid: 'b1946ac9-2492-4d23-9f2c-0a5b1e2f3c4d' },
  row: 'plan[us]',
  attempt: 1,
  project: 'network',
  source: 'a1b2',
  managed: true,
  stateVersions: 20,
  action: 'plan',
};

test('a grant comes back as it was signed', () => {
  const { sign, verify } = createGrants(fakeKeys('a'));
  assert.deepEqual(verify(sign(grant)), grant);
});

test('a grant that somebody changed, or signed with something else, is none', () => {
  const { sign, verify } = createGrants(fakeKeys('a'));
  const [body = '', signature = ''] = sign(grant).split('.');
  const widened = Buffer.from(JSON.stringify({ ...grant, action: 'apply' })).toString('base64url');
  const withKeyItself = createHmac('sha256', keyNamed('a').secret)
    .update(`grant.${widened}`)
    .digest('base64url');
  const texts = [
    '',
    '.',
    body,
    `${body}.`,
    `.${signature}`,
    `${widened}.${signature}`,
    `${widened}.${withKeyItself}`,
    `${body}.${signature}.${signature}`,
    `${body}.${signature.slice(0, -2)}`,
    createGrants(fakeKeys('b')).sign(grant),
  ];
  for (const text of texts) assert.equal(verify(text), undefined, text);
});

test('grants of an old key count until it is taken away', async () => {
  const keys = fakeKeys('a');
  const { sign, verify } = createGrants(keys);
  const text = sign(grant);
  keys.next = ringOf('a', 'b');
  await keys.refresh();
  assert.deepEqual(verify(text), grant);
  keys.next = ringOf('b');
  await keys.refresh();
  assert.equal(verify(text), undefined);
});

test('nothing that is no grant is signed', () => {
  const { sign } = createGrants(fakeKeys('a'));
  assert.throws(() => sign({ ...grant, stateVersions: 0 }));
  assert.throws(() => sign({ ...grant, plan: { row: 'plan', digest: 'sha256:12' } }));
});
