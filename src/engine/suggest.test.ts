import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, suggest } from './suggest.ts';

const STEPS = ['build', 'test', 'deploy-us', 'deploy-eu', 'notify'];

test('suggests the nearest name', () => {
  assert.equal(suggest('biuld', STEPS), 'build');
  assert.equal(suggest('buil', STEPS), 'build');
  assert.equal(suggest('builds', STEPS), 'build');
  assert.equal(suggest('xbuil', STEPS), 'build');
  assert.equal(suggest('deploy-eo', STEPS), 'deploy-eu');
  assert.equal(suggest('tset', STEPS), 'test');
  assert.equal(didYouMean('notfy', STEPS), ' Did you mean notify?');
});

test('suggests nothing when none is near', () => {
  assert.equal(suggest('lint', ['build', 'deploy']), undefined);
  assert.equal(suggest('us', ['eu']), undefined);
  assert.equal(suggest('test', ['best-one']), undefined);
  assert.equal(didYouMean('x', []), '');
});
