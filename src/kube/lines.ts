const NEWLINE = 0x0a;

/**
 * Cuts a stream of bytes into lines and hands each on in the tick in which its end arrives. Bytes after the last
 * newline wait for their end; when the stream breaks there, they are never seen.
 *
 * A line that comes in many pieces is joined once, at its end, so the cost stays linear in its length.
 */
export function lineSplitter(onLine: (line: string) => void): (chunk: Buffer) => void {
  let pieces: Buffer[] = [];
  const lineEndingAt = (chunk: Buffer, start: number, end: number): string => {
    if (pieces.length === 0) return chunk.toString('utf8', start, end);
    const whole = Buffer.concat([...pieces, chunk.subarray(start, end)]);
    pieces = [];
    return whole.toString('utf8');
  };
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const line = lineEndingAt(chunk, start, end);
      start = end + 1;
      if (line !== '') onLine(line);
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start));
  };
}
