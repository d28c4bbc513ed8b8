import { readFileSync } from 'node:fs';

// Loaded into an operator before its own code: the time of day of this process is wrong by as many milliseconds as the
// file says that is named in the address of this module. What only goes forward, as timers do, stays right.

const file = new URL(import.meta.url).searchParams.get('file') ?? '';
const RightDate = Date;
const now = (): number => RightDate.now() + Number(readFileSync(file, 'utf8'));

globalThis.Date = new Proxy(RightDate, {
  construct: (target, given: unknown[], made) =>
    Reflect.construct(target, given.length === 0 ? [now()] : given, made) as Date,
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)) as unknown,
});
