import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { cutText, escapeText, quote } from './mrkdwn.ts';

const unescape = (text: string) =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

/** Any text, with what means something to Slack in it more often than by chance. */
const slackText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('<!channel>', '&', '<', '>', '&amp;', '😀', '\n'),
    ),
  )
  .map((parts) => parts.join(''));

test('escaped text can not be taken for a mention or a link', () => {
  assert.equal(
    escapeText('<!channel> & <https://example.com|log in>'),
    '&lt;!channel&gt; &amp; &lt;https://example.com|log in&gt;',
  );
  // What looks escaped is text as well.
  assert.equal(escapeText('&lt;!here&gt;'), '&amp;lt;!here&amp;gt;');
});

test('escaped text reads as it was, and has no control character of Slack left', () => {
  fc.assert(
    fc.property(slackText, (text) => {
      const escaped = escapeText(text);
      assert.equal(unescape(escaped), text);
      assert.doesNotMatch(escaped, /[<>]|&(?!(?:amp|lt|gt);)/);
    }),
  );
});

test('cut text fits, and is a beginning of the text with every escape whole', () => {
  fc.assert(
    fc.property(slackText, fc.integer({ min: 1, max: 60 }), (text, most) => {
      const cut = cutText(escapeText(text), most);
      assert.ok(cut.length <= most);
      assert.ok(cut.isWellFormed());
      const whole = text.toWellFormed();
      if (cut === escapeText(whole)) return;
      assert.ok(cut.endsWith('…'));
      assert.ok(whole.startsWith(unescape(cut.slice(0, -1))));
    }),
  );
});

test('a link or mention is left out rather than cut in two', () => {
  assert.equal(cutText('see <https://example.com|the page>', 33), 'see …');
  assert.equal(cutText('see <https://example.com|the page>', 34), 'see <https://example.com|the page>');
  assert.equal(cutText('<<<<<<', 4), '<<<…');
});

test('a character of two code units is left out rather than cut in two', () => {
  assert.equal(cutText('😀😀', 3), '😀…');
  assert.equal(cutText('😀😀', 2), '…');
});

test('every line of a quotation is marked as one', () => {
  assert.equal(quote('exit 1:\r\n<b>\n\nend'), '> exit 1:\n> &lt;b&gt;\n> \n> end');
});
