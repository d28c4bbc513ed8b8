import { randomBytes } from 'node:crypto';
import { constants, gunzipSync } from 'node:zlib';

/** A secret that is planted to see where it turns up. */
export interface Canary {
  name: string;
  /** As it is used; what is looked for are pieces of it. */
  bytes: Buffer;
}

/** A piece of a canary that was found, and how it was spelled. */
export interface Finding {
  canary: string;
  spelling: string;
}

/** Finds canaries in any content. */
export type Finder = (content: Buffer) => Finding[];

/** Length of the pieces, and from where to where they go: whoever shows 11 bytes of a secret shows one of them whole. */
const PIECE = 8;
const STEP = 4;
const GZIP = Buffer.from([0x1f, 0x8b, 0x08]);
const GZIP_BASE64 = /H4sI[A-Za-z0-9+/_-]{16,}/g;
const MAX_UNPACKED = 256 * 2 ** 20;

/**
 * Makes up a secret that JSON, HTML, shells and URLs have to escape in some places. Between these are runs that look the same in
 * all of them, and that are long enough to be recognized.
 */
export function newSecret(): string {
  return `${newRun()}"${newRun()}<&${newRun()}'${newRun()}`;
}

/** Makes up a secret of small letters and digits, which is allowed everywhere. */
export const newPlainSecret = () => `c${randomBytes(16).toString('hex')}`;

const newRun = () => randomBytes(24).toString('base64').replaceAll(/[+/]/g, '').padEnd(12, 'x').slice(0, 12);

export const canaryOf = (name: string, secret: string | Buffer): Canary => ({
  name,
  bytes: Buffer.isBuffer(secret) ? secret : Buffer.from(secret.trim()),
});

/** One spelling of one piece. */
interface Pattern extends Finding {
  bytes: Buffer;
}

/**
 * Looks for pieces of the canaries: as they are, in hexadecimal, in Base64 of both alphabets at any place of what was
 * encoded, in Base64 of that, and all of it once more in what is packed with gzip.
 */
export function createFinder(canaries: readonly Canary[]): Finder {
  const byStart = new Map<number, Pattern[]>();
  // Asked for each byte: a table is a good deal quicker than a map, and says no nearly always.
  const starts = new Uint8Array(2 ** 24);
  for (const pattern of canaries.flatMap(patternsOf)) {
    const start = pattern.bytes.readUIntLE(0, 3);
    starts[start] = 1;
    byStart.set(start, [...(byStart.get(start) ?? []), pattern]);
  }

  function search(content: Buffer, found: Map<string, Finding>, packed: string): void {
    for (let at = 0; at + PIECE <= content.length; at += 1) {
      const start = content.readUIntLE(at, 3);
      if (starts[start] !== 1) continue;
      for (const { bytes, canary, spelling } of byStart.get(start) ?? []) {
        if (content.compare(bytes, 0, bytes.length, at, Math.min(at + bytes.length, content.length)) !== 0)
          continue;
        found.set(`${canary} ${packed}${spelling}`, { canary, spelling: `${packed}${spelling}` });
      }
    }
    for (const inner of unpacked(content)) search(inner, found, `${packed}gzip of `);
  }

  return (content) => {
    const found = new Map<string, Finding>();
    search(content, found, '');
    return [...found.values()];
  };
}

function patternsOf({ name, bytes }: Canary): Pattern[] {
  if (bytes.length < PIECE + STEP) throw new Error(`the canary ${name} is too short to be found`);
  const places = Array.from({ length: Math.floor((bytes.length - PIECE) / STEP) + 1 }, (_, n) => n * STEP);
  return places.flatMap((from) => {
    const piece = bytes.subarray(from, from + PIECE);
    const hex = piece.toString('hex');
    const spelled: [spelling: string, text: string | Buffer][] = [
      ['plain', piece],
      ['hex', hex],
      ['hex', hex.toUpperCase()],
      ...base64Of(piece).flatMap((text): [string, string][] => [
        ['base64', text],
        ...base64Of(Buffer.from(text)).map((twice): [string, string] => ['base64 of base64', twice]),
      ]),
    ];
    return spelled.map(([spelling, text]) => ({ canary: name, spelling, bytes: Buffer.from(text) }));
  });
}

/** The characters that the piece alone decides, at each of the three places that it can have in what is encoded. */
function base64Of(piece: Buffer): string[] {
  const cores = [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), piece]).toString('base64url');
    return encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + piece.length) * 8) / 6));
  });
  return [...new Set(cores.flatMap((core) => [core, core.replaceAll('-', '+').replaceAll('_', '/')]))];
}

function* unpacked(content: Buffer): Generator<Buffer> {
  for (let at = content.indexOf(GZIP); at !== -1; at = content.indexOf(GZIP, at + 1)) {
    yield* gunzipped(content.subarray(at));
  }
  for (const [text] of content.toString('latin1').matchAll(GZIP_BASE64)) {
    yield* gunzipped(Buffer.from(text, 'base64'));
  }
}

/** Nothing, where it only looks like gzip. One that is cut short gives its beginning. */
function* gunzipped(content: Buffer): Generator<Buffer> {
  try {
    yield gunzipSync(content, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_UNPACKED });
  } catch {
    // Three bytes that gzip begins with stand in other content, too.
  }
}

/** Spells a text in every way that a finder knows: what shows that it finds them. */
export function allSpellings(text: string): [spelling: string, content: Buffer][] {
  const bytes = Buffer.from(text);
  const once = ['', 'a', 'ab'].map((before) => Buffer.from(`${before}${text}, and more`));
  return [
    ['plain', bytes],
    ['plain', Buffer.from(JSON.stringify({ text }))],
    ['plain', Buffer.from(encodeURIComponent(text))],
    ['plain', Buffer.from(text.slice(3, 14))],
    ['hex', Buffer.from(bytes.toString('hex'))],
    ['hex', Buffer.from(bytes.toString('hex').toUpperCase())],
    ...once.flatMap((encoded): [string, Buffer][] => [
      ['base64', Buffer.from(encoded.toString('base64'))],
      ['base64', Buffer.from(encoded.toString('base64url'))],
      ['base64 of base64', Buffer.from(Buffer.from(encoded.toString('base64')).toString('base64'))],
    ]),
  ];
}
