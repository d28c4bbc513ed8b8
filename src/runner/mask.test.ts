import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { createMask, maskDeep } from './mask.ts';

const secret = 'tr0ub4dor&3 "quoted"';
const mask = createMask([secret]);

function inPieces(text: string, size: number, secrets: string[]): string {
  const stream = createMask(secrets).stream();
  let shown = '';
  for (let at = 0; at < text.length; at += size) shown += stream.push(text.slice(at, at + size));
  return shown + stream.end();
}

describe('a mask', () => {
  const spellings: Record<string, string> = {
    'as it is': secret,
    'in JSON': JSON.stringify(secret).slice(1, -1),
    'in JSON of Go': 'tr0ub4dor\\u00263 \\"quoted\\"',
    'in JSON within JSON': JSON.stringify(JSON.stringify(secret)).slice(3, -3),
    'in a URL': encodeURIComponent(secret),
    'in a form': 'tr0ub4dor%263+%22quoted%22',
    'broken by a line': 'tr0ub4d\nor&3 "quoted"',
  };
  for (const [name, text] of Object.entries(spellings)) {
    test(`hides a secret ${name}`, () => {
      const masked = mask.text(`before ${text} after`);
      assert.match(masked, /^before \*\*\*(\n\*\*\*)? after$/);
    });
  }

  for (const prefix of ['', 'a', 'ab', 'user:']) {
    test(`hides it in the Base64 of ${prefix}…`, () => {
      for (const encoding of ['base64', 'base64url'] as const) {
        const encoded = Buffer.from(`${prefix}${secret} and more`).toString(encoding);
        // What is left of the secret are the bits that it shares a character with its neighbours in.
        const masked = mask.text(encoded);
        assert.match(masked, /\*\*\*/);
        const pieces = masked.split('***').map((piece) => Buffer.from(piece, 'base64').toString('latin1'));
        assert.ok(!pieces.some((piece) => /ub4|dor|quot/.test(piece)), masked);
      }
    });
  }

  test('hides Base64 that was broken into lines', () => {
    const key = 'k'.repeat(40) + 'q'.repeat(60);
    const encoded = Buffer.from(key).toString('base64').replace(/.{76}/g, '$&\n');
    const masked = createMask([key]).text(`${encoded}\nnext`);
    assert.doesNotMatch(masked, /[a-zA-Z0-9]{4}(?<!next)$/m);
    assert.match(masked, /next$/);
  });

  test('hides each line of a secret of several lines', () => {
    const key = '-----BEGIN KEY-----\nfirst-line-of-key\nsecond-line-of-key\n-----END KEY-----\n';
    const lines = createMask([key]).text('a: first-line-of-key\nb: second-line-of-key\n');
    assert.equal(lines, 'a: ***\nb: ***\n');
  });

  test('hides what overlaps altogether', () => {
    assert.equal(createMask(['abcdef', 'defghi']).text('-abcdefghi-'), '-***-');
    assert.equal(createMask(['xabc', 'abcdef']).text('xabcde'), '***de');
    assert.equal(createMask(['abc', 'abcdef']).text('abcdef abc abcde'), '*** *** ***de');
  });

  test('leaves out what is too short to be a secret, and the space around one', () => {
    assert.equal(createMask(['', '1', 'eu', ' \n']).text('1 to add in eu'), '1 to add in eu');
    assert.equal(createMask(['hunter2\n']).text('hunter2!'), '***!');
  });

  test('holds back no more than the beginning of a secret', () => {
    const stream = createMask(['secret']).stream();
    assert.equal(stream.push('a plain line\n'), 'a plain line\n');
    assert.equal(stream.push('it is sec'), 'it is ');
    assert.equal(stream.push('ond'), 'second');
    assert.equal(stream.push(' sec'), ' ');
    assert.equal(stream.push('ret'), '***');
    assert.equal(stream.push('se'), '');
    assert.equal(stream.end(), 'se');
  });

  test('shows the same in pieces of any size', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\n'), maxLength: 40 });
    const secrets = fc.array(
      fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 3, maxLength: 6 }),
      {
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(letters, secrets, fc.integer({ min: 1, max: 7 }), (text, secrets, size) => {
        const whole = createMask(secrets).text(text);
        assert.equal(inPieces(text, size, secrets), whole);
        const visible = text.replaceAll('\n', '');
        for (const secret of secrets) {
          if (!visible.includes(secret)) continue;
          assert.ok(whole.includes('***'), whole);
          assert.ok(!whole.replaceAll('\n', '').includes(secret), whole);
        }
      }),
    );
  });

  test('goes through JSON values', () => {
    const value = { 'my hunter2': ['hunter2', 1, 12345, null, { a: true }] };
    assert.deepEqual(maskDeep(value, createMask(['hunter2', '12345'])), {
      'my ***': ['***', 1, '***', null, { a: true }],
    });
  });
});
