import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { StorageError } from './errors.ts';
import { derivedKey, type Key, type KeyRing } from './keys.ts';

// What is encrypted looks like this, in bytes:
//
//     1        1           length      12      as the plaintext   16
//   version   length of   id of the   nonce   ciphertext          tag
//             the id      key
//
// The tag also covers the version, the id and the name of what is encrypted, so that nothing can be passed off as
// something else. Nonces are random: a key is good for 2^32 of them.

const VERSION = 1;
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts with AES-256-GCM. @param name what it is, for example `state/team-a/network/default`; needed to open it */
export function seal(key: Key, name: string, plaintext: Buffer): Buffer {
  const header = Buffer.concat([Buffer.of(VERSION, key.id.length), Buffer.from(key.id)]);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, derivedKey(key, 'artifact'), nonce).setAAD(boundTo(header, name));
  return Buffer.concat([header, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** @throws {StorageError} KeyMissing; Altered when it was not sealed under this name, or was changed since */
export function open(ring: KeyRing, name: string, sealed: Buffer): Buffer {
  const { id, headerEnd } = readHeader(name, sealed);
  const key = ring.all.find((key) => key.id === id);
  if (!key) {
    throw new StorageError(
      'KeyMissing',
      `${name} is encrypted with the key "${id}", which the operator does not have: put it back into its folder of keys`,
    );
  }
  const header = sealed.subarray(0, headerEnd);
  const nonce = sealed.subarray(headerEnd, headerEnd + NONCE_BYTES);
  const ciphertext = sealed.subarray(headerEnd + NONCE_BYTES, -TAG_BYTES);
  const decipher = createDecipheriv(CIPHER, derivedKey(key, 'artifact'), nonce, { authTagLength: TAG_BYTES })
    .setAAD(boundTo(header, name))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  } catch (error) {
    throw altered(name, error);
  }
}

function readHeader(name: string, sealed: Buffer): { id: string; headerEnd: number } {
  const headerEnd = 2 + (sealed[1] ?? 0);
  if (sealed[0] !== VERSION || sealed.length < headerEnd + NONCE_BYTES + TAG_BYTES) throw altered(name);
  return { id: sealed.subarray(2, headerEnd).toString(), headerEnd };
}

function altered(name: string, cause?: unknown): StorageError {
  return new StorageError('Altered', `${name} does not decrypt: what is stored is not what was written`, {
    cause,
  });
}

function boundTo(header: Buffer, name: string): Buffer {
  return Buffer.concat([header, Buffer.from(name)]);
}
