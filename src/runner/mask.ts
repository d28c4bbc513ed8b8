import { spellingsOf } from '../api/secret-spellings.ts';

/** Hides secrets in text that comes in pieces. */
export interface MaskStream {
  /** Takes the next piece, and gives what can be shown: the beginning of a secret is held back. */
  push(text: string): string;
  /** Gives what was held back: no more comes. */
  end(): string;
}

/** Hides secrets. */
export interface Mask {
  /** In a whole text. */
  text(text: string): string;
  stream(): MaskStream;
  /** Hides more from now on, in streams that are open too. */
  hide(secrets: Iterable<string>): void;
}

const HIDDEN = '***';
/** Shorter values are words of every log (`1`, `eu`): hiding them would spoil it and protect nothing. */
const SHORTEST = 3;
/** A line of a longer secret that is shorter than this may be punctuation. */
const SHORTEST_LINE = 8;
const LINE_BREAKS = /[\r\n]+/g;

/**
 * Hides these values, and each line of them: as they are, in Base64 at any place of what was encoded, in hexadecimal,
 * and as JSON, HTML and URLs spell them. They are found across the ends of pieces and lines as well: line breaks do not count. Where several
 * overlap, all that any of them covers is hidden.
 */
export function createMask(secrets: Iterable<string>): Mask {
  const patterns = new Patterns();
  patterns.add(allSpellings(secrets));
  const stream = () => new Stream(patterns);
  return {
    stream,
    hide: (secrets) => patterns.add(allSpellings(secrets)),
    text(text) {
      const whole = stream();
      return whole.push(text) + whole.end();
    },
  };
}

/** Hides secrets in every text of a JSON value, names included. */
export function maskDeep(value: unknown, mask: Mask): unknown {
  if (typeof value === 'string') return mask.text(value);
  if (typeof value === 'number') return mask.text(String(value)) === String(value) ? value : HIDDEN;
  if (Array.isArray(value)) return value.map((entry) => maskDeep(entry, mask));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value);
  return Object.fromEntries(members.map(([name, member]) => [mask.text(name), maskDeep(member, mask)]));
}

function* allSpellings(secrets: Iterable<string>): Generator<string> {
  for (const secret of secrets) {
    const whole = secret.trim();
    if (whole.length < SHORTEST) continue;
    yield* spellingsOf(whole);
    for (const line of whole.split(LINE_BREAKS)) {
      if (line.trim().length >= SHORTEST_LINE) yield* spellingsOf(line.trim());
    }
  }
}

/** What to look for, by its first character and then the longest first. */
class Patterns {
  private readonly byStart = new Map<string, string[]>();
  /** A line break, or the first character of what is to be hidden. */
  private start = /[\r\n]/g;

  add(spellings: Iterable<string>): void {
    for (const spelling of spellings) {
      const pattern = spelling.replace(LINE_BREAKS, '');
      const start = pattern.charAt(0);
      const others = (this.byStart.get(start) ?? []).filter((other) => other !== pattern);
      this.byStart.set(
        start,
        [...others, pattern].sort((a, b) => b.length - a.length),
      );
    }
    const starts = ['\r', '\n', ...this.byStart.keys()].map((sign) => {
      return `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
    this.start = new RegExp(`[${starts.join('')}]`, 'g');
  }

  /** The next place where something may begin, or the end. Most of a log is passed over here. */
  nextStart(text: string, index: number): number {
    this.start.lastIndex = index;
    return this.start.exec(text)?.index ?? text.length;
  }

  /** Length of the longest secret that stands at this place, or 0. */
  lengthAt(text: string, index: number): number {
    const found = this.byStart.get(text.charAt(index))?.find((pattern) => text.startsWith(pattern, index));
    return found?.length ?? 0;
  }

  /** Whether the text ends here with what may be the beginning of a secret. */
  beginsAt(text: string, index: number): boolean {
    const rest = text.length - index;
    const candidates = this.byStart.get(text.charAt(index)) ?? [];
    return candidates.some((pattern) => pattern.length > rest && pattern.startsWith(text.slice(index)));
  }

  /** Length of the longest one that starts like this place. */
  longestAt(text: string, index: number): number {
    return this.byStart.get(text.charAt(index))?.[0]?.length ?? 0;
  }
}

class Stream implements MaskStream {
  private readonly patterns: Patterns;
  private held = '';
  /** So many characters of what is held, line breaks not counted, belong to a secret that began before. */
  private covered = 0;
  /** The last that was shown is `***`, and the secret that it stands for goes on. */
  private inside = false;

  constructor(patterns: Patterns) {
    this.patterns = patterns;
  }

  push(text: string): string {
    return this.show(this.held + text, 'may go on');
  }

  end(): string {
    return this.show(this.held, 'is all');
  }

  private show(text: string, more: 'may go on' | 'is all'): string {
    const plain = text.replace(LINE_BREAKS, '');
    let shown = '';
    let at = 0;
    let index = 0;
    for (; index < text.length; index += 1) {
      if (this.covered === 0) {
        const next = this.patterns.nextStart(text, index);
        if (next > index) this.inside = false;
        shown += text.slice(index, next);
        at += next - index;
        index = next;
      }
      const sign = text.charAt(index);
      if (sign === '') break;
      if (sign === '\n' || sign === '\r') {
        shown += sign;
        this.inside = false;
        continue;
      }
      if (more === 'may go on' && this.mayBegin(plain, at)) break;
      this.covered = Math.max(this.covered, this.patterns.lengthAt(plain, at));
      shown += this.showSign(sign);
      at += 1;
    }
    this.held = text.slice(index);
    return shown;
  }

  private mayBegin(plain: string, at: number): boolean {
    return this.patterns.longestAt(plain, at) > plain.length - at && this.patterns.beginsAt(plain, at);
  }

  private showSign(sign: string): string {
    if (this.covered === 0) {
      this.inside = false;
      return sign;
    }
    this.covered -= 1;
    if (this.inside) return '';
    this.inside = true;
    return HIDDEN;
  }
}
