import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { lineSplitter } from '../../src/kube/lines.ts';
import type { StreamFault } from './faults.ts';
import { statusObject } from './refusal.ts';

/**
 * Passes a watch on, event by event, until the next fault strikes; one that does not end the watch is followed by
 * another.
 *
 * @param draw gives the next fault, or none
 * @param struck is told when one strikes
 */
export function relayWatch(
  body: Readable,
  response: ServerResponse,
  { draw, struck }: { draw: () => StreamFault | undefined; struck: (fault: StreamFault) => void },
): void {
  /** Events that are held back, while the watch is stalled. */
  let held: string[] | undefined;
  let cutNext = false;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  const pass = (line: string) => {
    // What was on its way when the watch was ended comes to nothing.
    if (response.writableEnded || response.destroyed) return;
    if (cutNext) response.write(line.slice(0, line.length / 2), () => response.destroy());
    else if (held) held.push(line);
    else response.write(`${line}\n`);
  };

  function schedule(): void {
    const fault = draw();
    if (fault?.afterMs === 0) strike(fault);
    else if (fault) timer = setTimeout(() => strike(fault), fault.afterMs);
  }

  function release(): void {
    const late = held ?? [];
    held = undefined;
    late.forEach(pass);
    if (ended) response.end();
    else schedule();
  }

  function strike(fault: StreamFault): void {
    struck(fault);
    switch (fault.kind) {
      case 'Stall':
        held = [];
        timer = setTimeout(release, fault.forMs);
        return;
      case 'Expire':
        pass(JSON.stringify({ type: 'ERROR', object: statusObject(410) }));
        return void response.end();
      case 'Drop':
        return void response.destroy();
      case 'CutLine':
        cutNext = true;
        return;
      case 'End':
        return void response.end();
      default:
        fault satisfies never;
    }
  }

  body.on('data', lineSplitter(pass));
  body.on('end', () => {
    ended = true;
    if (!held) response.end();
  });
  body.on('error', () => response.destroy());
  response.once('close', () => {
    clearTimeout(timer);
    body.destroy();
  });
  schedule();
}
