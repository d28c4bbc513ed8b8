import { hkdfSync } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** A key of the operator: other keys are derived from it, one for each purpose. */
export interface Key {
  /** Name of its file. It is kept beside whatever the key encrypts. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Buffer;
}

/** What keys are derived for, so that what is made for one purpose is worth nothing for another. */
export const PURPOSES = ['artifact', 'grant', 'vote'] as const;

/** Derives the key for a purpose, by HKDF: RFC 5869. */
export function derivedKey({ secret }: Key, purpose: (typeof PURPOSES)[number]): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `signalbox ${purpose}`, 32));
}

/** The keys at one moment. */
export interface KeyRing {
  /** New things are written with this one. */
  readonly write: Key;
  /** Everything that is there, `write` included, by name. */
  readonly all: readonly Key[];
}

/** Keys in a folder of files, which may change at any time: the kubelet replaces the files of a mounted Secret. */
export interface Keys {
  /** What was read last. */
  ring(): KeyRing;
  /** Reads the folder now. @throws {KeyError} when it cannot be used; what was read before then stays in force */
  refresh(): Promise<KeyRing>;
  /** Reads the folder from time to time, until the signal is aborted. */
  watch(signal: AbortSignal): Promise<void>;
}

export interface KeysOptions {
  folder: string;
  /** Name of the key to write with. Default: the last one by name. */
  writeKey?: string | undefined;
  /** Told when the folder cannot be used any more; the keys that were read before stay in force. */
  onError: (error: unknown) => void;
}

/** The folder of keys cannot be used; the message says what is wrong with which file. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

const KEY_BYTES = 32;
const REFRESH_MS = 15_000;
/** A name that can be the key of a Secret, without the files that the kubelet makes for itself. */
const KEY_ID = /^[A-Za-z0-9][-_.A-Za-z0-9]{0,62}$/;

/** Reads the keys of a folder. @throws {KeyError} when it has none, or one that is no key */
export async function openKeys(options: KeysOptions): Promise<Keys> {
  let current = await readRing(options);
  const refresh = async () => {
    current = await readRing(options);
    return current;
  };
  return {
    ring: () => current,
    refresh,
    watch: (signal) => every(REFRESH_MS, signal, () => refresh().catch(options.onError)),
  };
}

async function readRing({ folder, writeKey }: KeysOptions): Promise<KeyRing> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw new KeyError(`the folder of keys ${folder} cannot be read: ${String(error)}`, { cause: error });
  });
  const ids = names.filter((name) => KEY_ID.test(name)).sort();
  const all = await Promise.all(ids.map((id) => readKey(folder, id)));
  const write = writeKey === undefined ? all.at(-1) : all.find(({ id }) => id === writeKey);
  if (write) return { write, all };
  throw new KeyError(
    writeKey === undefined
      ? `the folder of keys ${folder} holds no key: put a file of ${KEY_BYTES} random bytes into it`
      : `the key "${writeKey}" to write with is not among those of ${folder}: ${ids.join(', ') || 'none'}`,
  );
}

async function readKey(folder: string, id: string): Promise<Key> {
  const content = await readFile(path.join(folder, id));
  if (content.length === KEY_BYTES) return { id, secret: content };
  const text = content.toString('latin1').trim();
  const decoded = Buffer.from(text, 'base64');
  // Node skips what is no base64, and so would take a password for a key.
  if (decoded.length === KEY_BYTES && decoded.toString('base64') === text) return { id, secret: decoded };
  throw new KeyError(
    `the key ${path.join(folder, id)} is not ${KEY_BYTES} bytes, raw or in base64: ` +
      `make one with "openssl rand -base64 ${KEY_BYTES}"`,
  );
}

async function every(ms: number, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => void work(), ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearInterval(timer);
}
