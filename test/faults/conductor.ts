import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.ts';
import type { Replica } from './replica.ts';

export interface ConductorOptions {
  random: Random;
  /** The one that leads first, and the one that stands by. */
  replicas: readonly [Replica, Replica];
  /** How many kills there are between two changes of the leader. */
  killsPerTakeover: number;
  count: (what: string) => void;
  /** Told when a leader goes on that has lost the lease. */
  onStubborn: (replica: string) => void;
}

/** Kills, freezes and cuts off operators, and steps their clocks. */
export interface Conductor {
  /** The replica that leads, or will. */
  readonly leader: Replica;
  /** Rejects when the campaign itself can not go on. */
  readonly failure: Promise<never>;
  /** Ends it after what is under way; all clocks are then ahead of whatever they were. */
  stop(): Promise<void>;
}

/** Most that a clock is shifted, either way. */
const MAX_SHIFT_MS = 8 * 60_000;
/** Most that it is shifted so little that it is still known who started a run. */
const SMALL_SHIFT_MS = 45_000;
/** How many shifts are larger than that. */
const LARGE_SHIFTS = 0.3;
/** An operator with nothing to write is killed after this time: more than it takes to ask for the history of an object. */
const IDLE_MS = 10_000;
const POLL_MS = 20;
/** A leader that wakes up without its lease ends within this time: what it is at may wait for an answer and try again. */
const EXPIRES_WITHIN_MS = 60_000;

export function startConductor(options: ConductorOptions): Conductor {
  const { random, replicas, killsPerTakeover, count } = options;
  let [leader, standby] = replicas;
  const stop = new AbortController();
  const pause = (ms: number) => sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined);

  async function killAtWrite(choices: Random): Promise<void> {
    const { promise: killed, resolve } = Promise.withResolvers<void>();
    const { operator } = leader;
    const when = choices.pick(['KillBefore', 'KillAfter'] as const);
    // A write that takes long must not kill one that was started since.
    const act = () => resolve(leader.operator === operator ? leader.kill('SIGKILL') : undefined);
    const cancel = leader.faults.killAtWrite(choices.int(1, 30), when, act);
    const idle = pause(IDLE_MS).then(() => 'Idle');
    if ((await Promise.race([killed, idle])) !== 'Idle') return;
    cancel();
    count('killed while idle');
    await leader.kill('SIGKILL');
  }

  async function kill(choices: Random): Promise<void> {
    const { how } = choices.weighted([
      { weight: 7, how: 'AtWrite' },
      { weight: 2, how: 'AtAnyTime' },
      { weight: 1, how: 'Gracefully' },
    ] as const);
    switch (how) {
      case 'AtWrite':
        return killAtWrite(choices);
      case 'AtAnyTime':
        await pause(choices.int(0, 1500));
        count('killed at any moment');
        return leader.kill('SIGKILL');
      case 'Gracefully':
        await leader.leads();
        await pause(choices.int(0, 1000));
        count('asked to stop');
        return leader.kill('SIGTERM');
      default:
        how satisfies never;
    }
  }

  /** Another one leads from now on. */
  function change(): void {
    [leader, standby] = [standby, leader];
  }

  /** The leader is frozen or cut off for longer than its lease; another takes over, and then the old one comes back. */
  async function takeover(choices: Random): Promise<void> {
    const old = leader;
    // Before there is another who could take the lease.
    await old.leads();
    standby.run();
    await standby.watches();
    // The lease may have been lost meanwhile, by faults alone.
    while (!old.isLeading && !standby.isLeading) await sleep(POLL_MS);
    if (standby.isLeading) change();
    else await depose(old, choices);
    await old.retire('SIGKILL');
  }

  async function depose(old: Replica, choices: Random): Promise<void> {
    const gone = old.expire();
    const isFrozen = choices.chance(0.5);
    count(isFrozen ? 'frozen, and taken over from' : 'cut off, and taken over from');
    if (isFrozen) old.freeze();
    else old.proxy.partitioned = true;
    await standby.leads();
    change();
    await pause(choices.int(500, 1500));
    old.proxy.partitioned = false;
    old.thaw();
    const late = sleep(EXPIRES_WITHIN_MS, 'Late', { ref: false });
    if ((await Promise.race([gone, late])) === 'Late') options.onStubborn(old.name);
  }

  async function attack(): Promise<void> {
    leader.run();
    for (let round = 1; !stop.signal.aborted; round++) {
      const choices = random.fork(`round ${round}`);
      if (round % (killsPerTakeover + 1) === 0) await takeover(choices);
      else await kill(choices);
    }
  }

  async function stepClocks(): Promise<void> {
    const choices = random.fork('clock');
    while (!stop.signal.aborted) {
      await pause(choices.int(1000, 5000));
      const most = choices.chance(LARGE_SHIFTS) ? MAX_SHIFT_MS : SMALL_SHIFT_MS;
      setClocks(choices.int(-most, most));
      count('clock steps');
    }
  }

  function setClocks(offsetMs: number): void {
    for (const replica of replicas) replica.setClock(offsetMs);
  }

  const { promise: failure, reject } = Promise.withResolvers<never>();
  const working = Promise.all([attack(), stepClocks()]).catch(reject);
  return {
    failure,
    get leader() {
      return leader;
    },
    async stop() {
      stop.abort();
      await working;
      // What waits for a time of day must not wait for one that a clock ahead of ours has set.
      setClocks(MAX_SHIFT_MS);
    },
  };
}
