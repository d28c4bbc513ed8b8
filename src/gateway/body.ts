import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

/** How much may be held in memory for requests at once. */
export interface Room {
  /** Works while it has the room. @throws {Refusal} 503 when there is none */
  with<T>(bytes: number, work: () => Promise<T>): Promise<T>;
}

export function createRoom(limit: number): Room {
  let used = 0;
  return {
    async with(bytes, work) {
      if (used + bytes > limit) throw new Refusal(503, 'Busy', 'too much is stored at once: try again');
      used += bytes;
      try {
        return await work();
      } finally {
        used -= bytes;
      }
    },
  };
}

/** How long the body of a request will be, as far as it says so. @throws {Refusal} 413 when that is too long */
export function announcedLength(request: IncomingMessage, limit: number, reason: string): number {
  const text = request.headers['content-length'];
  const length = text === undefined ? limit : Number(text);
  if (length > limit) throw tooLarge(limit, reason);
  return length;
}

/** The whole body. @throws {Refusal} 413 when it is longer than `limit`; 400 when it ends too early */
export async function readBody(request: IncomingMessage, limit: number, reason: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > limit) throw tooLarge(limit, reason);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, 'BodyCutOff', 'the body did not arrive to its end', { cause: error });
  }
  return Buffer.concat(chunks);
}

function tooLarge(limit: number, reason: string): Refusal {
  return new Refusal(413, reason, `it may be ${limit} bytes long at most`);
}
