import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { open, seal } from './envelope.ts';
import { isStorageError } from './errors.ts';
import { keyNamed, ringOf } from './fake-keys.ts';

const name = 'state/team-a/network/default';
const altered = (error: unknown) => isStorageError(error, 'Altered');

test('what is sealed opens under its name, with any key of the ring, and no two look alike', () => {
  for (const size of [0, 1, 100_000]) {
    const plaintext = randomBytes(size);
    const sealed = seal(keyNamed('old'), name, plaintext);
    assert.deepEqual(open(ringOf('old', 'new'), name, sealed), plaintext);
    assert.notDeepEqual(seal(keyNamed('old'), name, plaintext), sealed);
  }
});

test('no byte can be changed, taken away or added', () => {
  const ring = ringOf('key');
  const sealed = seal(ring.write, name, Buffer.from('a plan'));
  for (let at = 0; at < sealed.length; at += 1) {
    const other = Buffer.from(sealed);
    other.writeUInt8(other.readUInt8(at) ^ 1, at);
    // A change of the id names a key that is not there.
    assert.throws(
      () => open(ring, name, other),
      (error) => isStorageError(error, 'Altered', 'KeyMissing'),
    );
    assert.throws(() => open(ring, name, sealed.subarray(0, at)), altered);
  }
  assert.throws(() => open(ring, name, Buffer.concat([sealed, Buffer.of(0)])), altered);
});

test('what was sealed under another name or with another key of the same name does not open', () => {
  const sealed = seal(keyNamed('key'), name, Buffer.from('a plan'));
  assert.throws(() => open(ringOf('key'), 'state/team-b/network/default', sealed), altered);
  const other = { id: 'key', secret: randomBytes(32) };
  assert.throws(() => open({ all: [other], write: other }, name, sealed), altered);
});

test('a key that was taken away is named', () => {
  const sealed = seal(keyNamed('old'), name, Buffer.from('a plan'));
  assert.throws(
    () => open(ringOf('new'), name, sealed),
    (error) => isStorageError(error, 'KeyMissing') && /"old"/.test(error.message),
  );
});
