import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SealPurpose } from '../engine/vote.ts';
import { derivedKey, type Key, type Keys } from './keys.ts';

/** Puts the operator's seal on what it has heard from whom, and knows its own. */
export interface Seals {
  /** @param purpose what kind of text it is: the seal of one kind is none of another */
  seal(purpose: SealPurpose, text: string): string;
  /** Whether the text was sealed with one of the keys that are there. */
  isOurs(purpose: SealPurpose, text: string, seal: string): boolean;
}

/** Seals are made with the key to write with, and accepted of any key that is there. */
export function createSeals(keys: Pick<Keys, 'ring'>): Seals {
  return {
    seal: (purpose, text) => sealOf(keys.ring().write, purpose, text).toString('base64url'),
    isOurs(purpose, text, seal) {
      const given = Buffer.from(seal, 'base64url');
      return keys.ring().all.some((key) => isEqual(sealOf(key, purpose, text), given));
    },
  };
}

function sealOf(key: Key, purpose: SealPurpose, text: string): Buffer {
  return createHmac('sha256', derivedKey(key, 'vote')).update(`${purpose}.${text}`).digest();
}

function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
