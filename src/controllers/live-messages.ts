import type { Graph, Node } from '../engine/model.ts';
import { type Clock, systemClock } from '../kube/clock.ts';
import type { StepTypes } from '../steps/index.ts';
import type { CallContext } from '../steps/step-type.ts';
import type { CallAttemptsOptions } from './call-attempts.ts';
import type { Revision } from './revisions.ts';
import type { RunView } from './views.ts';

/** Slack takes about fifty updates a minute from one app. */
const INTERVAL_MS = 3000;
/** How long one update may take, waiting for Slack to take it included. */
const LIMIT_MS = 60_000;

export interface LiveMessagesOptions extends Pick<CallAttemptsOptions, 'contextOf' | 'isLeader'> {
  stepTypes: StepTypes;
  /** @default systemClock */
  clock?: Clock;
}

/**
 * Keeps the messages that runs have sent up to date while they go on. An update that is lost is no harm, since the next
 * one replaces it; the last one, of the end of the run, is an attempt in its status like any other call.
 */
export interface LiveMessages {
  /** Has the messages of a run show what has become of it. */
  refresh(run: RunView, revision: Revision): void;
  /** Resolves when no update of the run is under way; after its end none follows. */
  settled(runUid: string): Promise<void>;
}

interface Entry {
  run: RunView;
  revision: Revision;
  /** What the messages show, or are about to. */
  shown: string;
  isStale: boolean;
  sending?: Promise<void>;
  cancelWait?: () => void;
}

export function createLiveMessages(options: LiveMessagesOptions): LiveMessages {
  const { stepTypes, contextOf, isLeader, clock = systemClock } = options;
  const entries = new Map<string, Entry>();
  const senders = new WeakMap<Graph, Node[]>();

  function sendersOf(graph: Graph): Node[] {
    const known = senders.get(graph);
    if (known) return known;
    const all = [...graph.nodes, ...graph.notifications.map(({ node }) => node)];
    const found = all.filter(({ spec }) => spec.slack?.update === true);
    senders.set(graph, found);
    return found;
  }

  function end(uid: string): void {
    const entry = entries.get(uid);
    entry?.cancelWait?.();
    if (entry && !entry.sending) entries.delete(uid);
  }

  function wait(uid: string, entry: Entry, ms: number): void {
    entry.isStale = false;
    entry.cancelWait = clock.after(ms, () => {
      delete entry.cancelWait;
      entry.sending = send(entry).then(() => {
        delete entry.sending;
        if (entry.run.status.finishedAt !== undefined) entries.delete(uid);
        else if (entry.isStale) wait(uid, entry, INTERVAL_MS);
      });
    });
  }

  /** Updates every message of a run, one after the other. Never throws. */
  async function send({ run, revision }: Entry): Promise<void> {
    const rows = new Map(
      [...(run.status.steps ?? []), ...(run.status.notifications ?? [])].map((row) => [row.name, row]),
    );
    for (const { name, type, spec } of sendersOf(revision.graph)) {
      const posted = rows.get(name)?.outputs;
      const sender = stepTypes[type];
      if (!posted || sender.kind !== 'Call' || !isLeader()) continue;
      await sender.update?.(spec, posted, contextFor(run, revision, name));
    }
  }

  function contextFor(run: RunView, revision: Revision, name: string): CallContext {
    const effect = { id: `${run.uid}-${name}`, step: name, evaluate: () => ({ error: 'is not there' }) };
    return contextOf(run, effect, revision, AbortSignal.timeout(LIMIT_MS));
  }

  return {
    refresh(run, revision) {
      if (sendersOf(revision.graph).length === 0) return;
      const { phase, progress, currentStep, finishedAt } = run.status;
      const shown = JSON.stringify([phase, progress, currentStep]);
      const entry = entries.get(run.uid);
      if (entry) Object.assign(entry, { run, revision });
      if (finishedAt !== undefined) return end(run.uid);
      if (entry?.shown === shown) return;
      if (!entry) {
        const begun: Entry = { run, revision, shown, isStale: false };
        entries.set(run.uid, begun);
        return wait(run.uid, begun, INTERVAL_MS);
      }
      entry.shown = shown;
      if (entry.sending) entry.isStale = true;
      else if (!entry.cancelWait) wait(run.uid, entry, INTERVAL_MS);
    },

    settled: async (runUid) => entries.get(runUid)?.sending,
  };
}
