/**
 * A time as the API's MicroTime: RFC 3339 with exactly six digits of fraction.
 *
 * @param ms milliseconds since the epoch.
 */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
