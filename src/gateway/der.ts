// Writes ASN.1 in its distinguished encoding (DER, ITU-T X.690), as far as a certificate needs it, and takes it apart again.

/** Numbers of the types, with the bit that says that they are made of others. */
const TAGS = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A value with its tag and its length before it. */
export function tagged(tag: number, ...content: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(content);
  return Buffer.concat([Buffer.of(tag), lengthOf(whole.length), whole]);
}

/** Lengths below 128 are one byte; others are their bytes, after a byte that says how many these are. */
function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const bytes = bytesOf(length);
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes]);
}

function bytesOf(number: number): Buffer {
  const hex = number.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

export const sequence = (...content: readonly Buffer[]) => tagged(TAGS.sequence, ...content);
export const set = (...content: readonly Buffer[]) => tagged(TAGS.set, ...content);
export const octetString = (content: Buffer) => tagged(TAGS.octetString, content);
export const utf8String = (text: string) => tagged(TAGS.utf8String, Buffer.from(text));
export const boolean = (value: boolean) => tagged(TAGS.boolean, Buffer.of(value ? 0xff : 0));

/** @param unused how many of the last bits do not count */
export const bitString = (content: Buffer, unused = 0) => tagged(TAGS.bitString, Buffer.of(unused), content);

/** A number that is not negative, given by its bytes. */
export function integer(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const short = first === -1 ? Buffer.of(0) : bytes.subarray(first);
  // The first bit would make it negative.
  const padded = (short[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.of(0), short]) : short;
  return tagged(TAGS.integer, padded);
}

/** An object identifier, such as `2.5.29.17`. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tagged(TAGS.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** Seven bits a byte; all but the last have the eighth set. */
function base128(number: number): number[] {
  const bytes = [number & 0x7f];
  for (let rest = number >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** A time in whole seconds: years to 2049 in the short form, later ones in the long, as RFC 5280 has it. */
export function time(date: Date): Buffer {
  const digits = `${date.toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '')}Z`;
  return date.getUTCFullYear() < 2050
    ? tagged(TAGS.utcTime, Buffer.from(digits.slice(2)))
    : tagged(TAGS.generalizedTime, Buffer.from(digits));
}

/** What a value is made of: its content without its own tag and length. */
export function contentOf(value: Buffer): Buffer {
  const { start, end } = extentOf(value);
  return value.subarray(start, end);
}

/** The values that one is made of, each with its tag and length. */
export function partsOf(value: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let rest = contentOf(value); rest.length > 0; ) {
    const { end } = extentOf(rest);
    parts.push(rest.subarray(0, end));
    rest = rest.subarray(end);
  }
  return parts;
}

/** Where the content of the first value begins and ends. */
function extentOf(bytes: Buffer): { start: number; end: number } {
  const first = bytes.readUInt8(1);
  if (first < 0x80) return { start: 2, end: 2 + first };
  const count = first & 0x7f;
  const start = 2 + count;
  return { start, end: start + bytes.readUIntBE(2, count) };
}
