import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Bundle, digestOfBundle, packBundle, unpackBundle } from './terraform-bundle.ts';

const bundle: Bundle = {
  meta: {
    run: 'uid',
    row: 'plan[us]',
    commit: 'a'.repeat(40),
    workspace: 'default',
    engine: 'opentofu',
    version: '1.12.6',
    projectHash: 'hash',
    destroy: false,
    state: { lineage: 'line', serial: 3 },
  },
  plan: Buffer.from([0, 1, 2, 255]),
  lockFile: Buffer.from('provider "x" {}\n'),
};

describe('a bundle', () => {
  test('comes out as it went in, with and without a lock file', () => {
    const { lockFile: _, ...unlocked } = bundle;
    for (const one of [bundle, unlocked, { ...bundle, plan: Buffer.alloc(0), lockFile: Buffer.alloc(0) }]) {
      const bytes = packBundle(one);
      assert.deepEqual(unpackBundle(bytes, digestOfBundle(bytes)), one);
    }
  });

  test('has the same bytes for the same content', () => {
    assert.deepEqual(packBundle(bundle), packBundle(structuredClone(bundle)));
  });

  test('is refused when its digest is another, whatever it has in it', () => {
    const bytes = packBundle(bundle);
    const digest = digestOfBundle(bytes);
    const other = packBundle({ ...bundle, meta: { ...bundle.meta, destroy: true } });
    assert.throws(() => unpackBundle(other, digest), {
      reason: 'PlanAltered',
      message: /its digest is sha256:/,
    });
  });

  test('is refused when it is none, or not whole', () => {
    const none = Buffer.from('something else altogether');
    assert.throws(() => unpackBundle(none, digestOfBundle(none)), { reason: 'PlanAltered' });
    const short = packBundle(bundle).subarray(0, -1);
    assert.throws(() => unpackBundle(short, digestOfBundle(short)), { reason: 'PlanAltered' });
  });
});
