const OFFSET = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;

/** FNV-1a, 64 bits, over UTF-16 code units: spreads well, and is no protection against anybody. */
export function hash64(text: string): bigint {
  let hash = OFFSET;
  for (let at = 0; at < text.length; at += 1) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(at))) * PRIME);
  }
  return hash;
}

/** Letters of {@link shortHash}: 41 bits, by which two of ten thousand names collide with a chance of 1 in 40,000. */
export const SHORT_HASH = 8;

/** Small letters and digits for names, to keep apart what reads the same. */
export const shortHash = (text: string): string =>
  hash64(text).toString(36).slice(-SHORT_HASH).padStart(SHORT_HASH, '0');
