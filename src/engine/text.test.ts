import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oneLine, strangeCharacter } from './text.ts';

test('a value on one line can not pass for another field', () => {
  assert.equal(oneLine(' main\n*Status*\r\nSucceeded\u2028\u0000 '), 'main *Status* Succeeded');
});

test('what steers a terminal, hides the order of letters, or is half a character, is no text', () => {
  const strange = {
    'a\u0000': 'U+0000',
    '\u001b[31mred': 'U+001B',
    'back\b': 'U+0008',
    '\u009b31m': 'U+009B',
    'a\u202eb': 'U+202E',
    '\u2066a': 'U+2066',
    'half \ud83d': 'U+D83D',
    '\udc4d half': 'U+DC4D',
  };
  for (const [text, code] of Object.entries(strange)) assert.equal(strangeCharacter(text), code);
});

test('everything else is text: lines, letters of all scripts, pictures of several characters', () => {
  for (const text of ['', 'two\r\nlines\tand more', 'не в пятницу', 'לא', '👍🏽👩‍👩‍👧', 'e\u0301'])
    assert.equal(strangeCharacter(text), undefined, text);
});
