/**
 * The text so that Slack shows it as it is. Without this, `<!channel>` in it would call everybody, and
 * `<https://example.com|log in>` would be a link that hides where it leads.
 * See https://docs.slack.dev/messaging/formatting-message-text
 */
export const escapeText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** What can not be cut in two: an escape, a link or mention, a character. */
const UNIT = /&(?:amp|lt|gt);|<[^<>]*>|[^]/gu;

/** The text, or as much of its beginning as fits into `most` characters, counted as UTF-16 does. */
export function cutText(text: string, most: number): string {
  const whole = text.toWellFormed();
  if (whole.length <= most) return whole;
  let kept = '';
  for (const [unit] of whole.matchAll(UNIT)) {
    if (kept.length + unit.length >= most) break;
    kept += unit;
  }
  return `${kept}…`;
}

/** The text, escaped, as a quotation. */
export const quote = (text: string): string =>
  text
    .split(/\r\n?|[\n\u2028\u2029]/)
    .map((line) => `> ${escapeText(line)}`)
    .join('\n');
