import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { spellingsOf } from './secret-spellings.ts';

const secret = `tr0ub4dor&3 <"it's">`;
const json = (text: string) => JSON.stringify(text).slice(1, -1);
const go = (text: string) =>
  json(text).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026');

describe('the spellings of a secret', () => {
  const spelled: Record<string, string> = {
    'as it is': secret,
    'in JSON': json(secret),
    'in JSON of Go': go(secret),
    'in JSON within JSON': json(json(secret)),
    'in JSON of Go within JSON': json(go(secret)),
    'in JSON of Go within JSON of Go': go(go(secret)),
    'in a shell': String.raw`tr0ub4dor&3 <"it'\''s">`,
    'in a shell of Python': `tr0ub4dor&3 <"it'"'"'s">`,
    'in a shell, in JSON': json(String.raw`tr0ub4dor&3 <"it'\''s">`),
    'shown by Python': String.raw`tr0ub4dor&3 <"it\'s">`,
    'in JSON, shown by Python': String.raw`tr0ub4dor&3 <\\"it\'s\\">`,
    'in a URL': encodeURIComponent(secret),
    'in a URL of Python': 'tr0ub4dor%263%20%3C%22it%27s%22%3E',
    'in a form': new URLSearchParams({ '': secret }).toString().slice(1),
    'in HTML': 'tr0ub4dor&amp;3 &lt;"it\'s"&gt;',
    'in HTML of Python': 'tr0ub4dor&amp;3 &lt;&quot;it&#x27;s&quot;&gt;',
    'in HTML of Go': 'tr0ub4dor&amp;3 &lt;&#34;it&#39;s&#34;&gt;',
    'in hexadecimal': Buffer.from(secret).toString('hex'),
  };
  for (const [name, text] of Object.entries(spelled)) {
    test(`have the one ${name}`, () => assert.ok(spellingsOf(secret).has(text), text));
  }

  for (const before of ['', 'a', 'ab', 'user:']) {
    test(`have the Base64 of it behind "${before}"`, () => {
      for (const encoding of ['base64', 'base64url'] as const) {
        const encoded = Buffer.from(`${before}${secret}`).toString(encoding);
        const found = [...spellingsOf(secret)].filter((text) => encoded.includes(text));
        // All but the characters at its ends, which say something of its neighbours as well.
        assert.ok(
          found.some((text) => text.length >= (secret.length * 8) / 6 - 2),
          encoded,
        );
      }
    });
  }

  test('leave Base64 out where it would be a word', () => {
    assert.deepEqual([...spellingsOf('eu1')], ['eu1', '657531']);
  });
});
