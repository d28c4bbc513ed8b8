import { readFileSync, watch } from 'node:fs';

/**
 * For `node --import`: shifts what the process takes for the time of day by as many milliseconds as stand in a file,
 * now and whenever the file changes. Monotonic clocks and timers go on as they are. The file is named in the
 * query: `--import=file:///…/shifted-clock.ts?file=/tmp/offset`. With `&servers` the clocks of those that it asks are
 * shifted too: the times that HTTP answers say.
 */
const { searchParams } = new URL(import.meta.url);
const file = searchParams.get('file') ?? '';
const isOfServers = searchParams.has('servers');
const Real = Date;
let offset = 0;

/** A file that is being written is empty for a moment. */
function read(): void {
  const text = readFileSync(file, 'utf8');
  if (text !== '') offset = Number(text);
}

const now = () => Real.now() + offset;
const parse = (text: string) => Real.parse(text) + (isOfServers && text.endsWith(' GMT') ? offset : 0);
const ours: Partial<Record<PropertyKey, unknown>> = { now, parse };

globalThis.Date = new Proxy(Real, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, key, receiver) => ours[key] ?? Reflect.get(target, key, receiver),
});

read();
watch(file, { persistent: false }, read);
