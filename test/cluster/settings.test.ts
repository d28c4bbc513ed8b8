import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesOf, toSettings } from './settings.ts';

test('simulated nodes imply a cluster without real ones', () => {
  assert.equal(toSettings({ simulatedNodes: 1 }).controlPlane, true);
  assert.equal(toSettings({ simulatedNodes: 1, controlPlane: false }).controlPlane, true);
  assert.equal(toSettings({}).controlPlane, false);
});

test('refuses what can not become a cluster, and says what may', () => {
  assert.throws(() => toSettings({ name: 'Upper' }), /"Upper" must be 1 to 30 lower-case letters/);
  assert.throws(() => toSettings({ name: '../escape' }), /must be 1 to 30/);
  assert.throws(
    () => toSettings({ simulatedNodes: Number.NaN }),
    /simulatedNodes is NaN; it must be a number from 0/,
  );
  assert.throws(() => toSettings({ podDuration: -1 }), /podDuration is -1/);
});

test('no two clusters share a port, an address range or a link', () => {
  const all = Array.from({ length: 64 }, (_, slot) => addressesOf(slot, true));
  const ports = all.flatMap((addresses) => Object.values(addresses.ports));
  assert.equal(new Set(ports).size, ports.length);
  for (const key of ['machineRange', 'podRange', 'serviceRange', 'link'] as const) {
    assert.equal(new Set(all.map((addresses) => addresses[key])).size, all.length);
  }
});
