import { API_VERSION } from '../api/common.ts';
import type { ConcurrencyPolicy } from '../api/concurrency.ts';
import type { WorkflowRun } from '../api/resources.ts';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { cancelRun } from '../engine/control.ts';
import { stageOf } from '../engine/concurrency.ts';
import { timeOf } from '../engine/text.ts';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import { createStore } from '../kube/store.ts';
import { createAdmission, type RunLimits } from './admission.ts';
import type { Cluster, RunIndex } from './cluster.ts';
import { contentionIndexers } from './contention.ts';
import { type RunView, runView } from './views.ts';

// For tests: runs that compete, reconciled in any order, over a fake API server that loses answers and is watched late.

const NAMESPACE = 'ns';
const T0 = Date.parse('2030-01-01T00:00:00Z');
/** More turns than any contest takes that comes to an end. */
const MAX_TURNS = 20_000;
/** Time passes slowly, so that nobody is busy for as long as the admission waits for those that arrive. */
const TICK_MS = 10;
const RETRY_MS = 500;
const REQUEST = { verb: 'patch', resource: 'workflowruns/status' };

/** A run as a test draws it. */
export interface Drawn {
  key: string;
  policy: ConcurrencyPolicy;
  /** The place of the run that started it by a step; undefined for none. */
  parent?: number | undefined;
  /** When it is created, in seconds after the start as its creationTimestamp has it. */
  at: number;
}

export interface ContestOptions {
  runs: readonly Drawn[];
  limits: RunLimits;
  /** Most active runs of the one workflow. */
  limit?: number | undefined;
  /** Gives numbers from 0 to 1. */
  random: () => number;
  /** Place of a run that can never be written. */
  broken?: number | undefined;
  /** Share of the writes whose answer is lost, and of those that are refused, from 0 to 1. */
  trouble: number;
}

/** What happened, in order. */
export interface Happened {
  type: 'Start' | 'Wait' | 'End';
  run: string;
  /** All runs as the server had them then. */
  all: readonly RunView[];
}

export interface Contest {
  happened: Happened[];
  runs: RunView[];
}

/** An empty store of runs. */
export function runStore() {
  return createStore<WorkflowRun, RunView, RunIndex>({
    project: runView,
    indexers: {
      ...contentionIndexers,
      workflow: () => [],
      label: () => [],
      owner: ({ owner }) => (owner ? [owner.uid] : []),
    },
    onError: (error) => {
      throw error;
    },
  });
}

/** Has all runs compete until nothing happens any more. */
export async function compete(options: ContestOptions): Promise<Contest> {
  const { random, trouble } = options;
  const server = new Map<string, WorkflowRun>();
  const store = runStore();
  const due = new Set<string>();
  const later = new Map<string, number>();
  const unseen: WorkflowRun[] = [];
  const happened: Happened[] = [];
  let version = 0;
  let now = T0;

  const comeAgain = (key: string, ms = 0) => later.set(key, Math.min(later.get(key) ?? Infinity, now + ms));
  const queue = { add: (key: string) => void due.add(key), addAfter: comeAgain };
  const runs = { store } as Cluster['runs'];
  const admission = createAdmission({ cluster: { runs }, limits: options.limits, queue, now: () => now });
  const all = () => Array.from(server.values(), runView);

  function put(run: WorkflowRun): WorkflowRun {
    const stored = { ...run, metadata: { ...run.metadata, resourceVersion: String(++version) } };
    server.set(`${NAMESPACE}/${run.metadata.name}`, stored);
    unseen.push(stored);
    return stored;
  }

  /** The watch may be late, but keeps the order. */
  function watch(): void {
    const seen = unseen.shift();
    if (!seen) return;
    store.observe('MODIFIED', seen);
    queue.add(`${NAMESPACE}/${seen.metadata.name}`);
  }

  async function write(run: RunView, status: WorkflowRunStatus): Promise<void> {
    await turns(random);
    if (run.name === `r${options.broken}` || random() < trouble / 2) throw refusal(403, 'Forbidden');
    const current = server.get(`${NAMESPACE}/${run.name}`);
    if (!current || current.metadata.resourceVersion !== run.resourceVersion) throw refusal(409, 'Conflict');
    const written = put({ ...current, status });
    tell(run, status);
    if (random() < trouble) throw new ConnectionError(REQUEST, new Error('the answer was lost'), true);
    await turns(random);
    store.upsert(written);
  }

  function tell(run: RunView, status: WorkflowRunStatus): void {
    const types = { New: 'Wait', Waiting: 'Wait', Active: 'Start', Ended: 'End' } as const;
    const type = types[stageOf(status)];
    if (stageOf(run.status) !== stageOf(status)) happened.push({ type, run: run.name, all: all() });
  }

  async function reconcile(key: string): Promise<void> {
    const run = store.get(key);
    if (!run || stageOf(run.status) === 'Ended') return;
    if (stageOf(run.status) === 'Active') return advance(run);
    const { key: name, policy } = options.runs[Number(run.name.slice(1))] ?? { key: '', policy: 'Queue' };
    const place = { key: name, policy, since: run.status.queue?.since ?? timeOf(now) };
    const status: WorkflowRunStatus = { phase: 'Running', startedAt: timeOf(now) };
    const keyOf = (other: RunView) => options.runs[Number(other.name.slice(1))]?.key;
    const candidate = { status, place, declared: true, limit: options.limit, keyOf };
    await admission.admit(run, candidate, async (entry) => {
      if (entry.status !== run.status) await write(run, entry.status);
      if (entry.type === 'Start') comeAgain(key);
    });
  }

  /** A run ends when it is replaced, or some time after all that it started have. */
  async function advance(run: RunView): Promise<void> {
    const key = `${NAMESPACE}/${run.name}`;
    const by = admission.replacerOf(run);
    const children = store.byIndex('owner', run.uid).filter(({ status }) => stageOf(status) !== 'Ended');
    if (by !== undefined && !run.status.cancellation) {
      comeAgain(key);
      return write(run, cancelRun(run.status, { reason: 'Replaced', message: by }, now));
    }
    if (children.length > 0 || random() < 0.5) return void comeAgain(key);
    await write(run, { ...run.status, phase: 'Succeeded', finishedAt: timeOf(now) });
  }

  const createdAt = ({ at }: Drawn) => T0 + at * TICK_MS;
  const creations = () => options.runs.map(createdAt).filter((time) => time > now);
  const isDone = (but: number) =>
    created.size === options.runs.length &&
    all().every(({ name, status }) => name === `r${but}` || stageOf(status) === 'Ended');

  const busy = new Set<string>();
  const created = new Set<number>();
  for (let quiet = 0, turn = 0; quiet < 40; turn += 1) {
    if (turn > MAX_TURNS || (options.broken !== undefined && isDone(options.broken))) break;
    for (const [index, drawn] of options.runs.entries()) {
      const parent = drawn.parent === undefined ? undefined : server.get(`${NAMESPACE}/r${drawn.parent}`);
      const ready = drawn.parent === undefined || (parent && stageOf(parent.status ?? {}) === 'Active');
      if (created.has(index) || createdAt(drawn) > now || !ready) continue;
      created.add(index);
      put(workflowRun(drawn, index));
    }
    if (random() < 0.7) watch();
    const keys = [...due].filter((key) => !busy.has(key));
    const key = keys[Math.floor(random() * keys.length)];
    if (key !== undefined && random() < 0.8) {
      due.delete(key);
      busy.add(key);
      // A reconcile that failed comes again.
      void reconcile(key)
        .catch(() => comeAgain(key, RETRY_MS))
        .finally(() => busy.delete(key));
    }
    await Promise.resolve();
    const idle = due.size === 0 && busy.size === 0 && unseen.length === 0;
    if (idle || random() < 0.05) {
      // When nothing is left to be done, the time has come for what comes later.
      now = Math.max(now + TICK_MS, idle ? Math.min(...later.values(), ...creations(), now + 60_000) : 0);
      for (const [one, at] of later) {
        if (at > now) continue;
        later.delete(one);
        due.add(one);
      }
    }
    quiet = idle && due.size === 0 && later.size === 0 ? quiet + 1 : 0;
  }
  return { happened, runs: all() };
}

/** A run as it is created. */
export function workflowRun({ at, parent }: Pick<Drawn, 'at' | 'parent'>, index: number): WorkflowRun {
  const owner = { apiVersion: API_VERSION, kind: 'WorkflowRun', controller: true };
  const owners = parent === undefined ? [] : [{ ...owner, name: `r${parent}`, uid: `uid-${parent}` }];
  return {
    apiVersion: API_VERSION,
    kind: 'WorkflowRun',
    metadata: {
      namespace: NAMESPACE,
      name: `r${index}`,
      uid: `uid-${index}`,
      creationTimestamp: timeOf(T0 + at * 1000),
      ownerReferences: owners,
    },
    spec: { workflowRef: { name: 'w' }, trigger: { type: 'Manual' } },
  };
}

/** Lets others go on, for some turns. */
async function turns(random: () => number): Promise<void> {
  for (let turn = Math.floor(random() * 6); turn > 0; turn -= 1) await Promise.resolve();
}

const refusal = (code: number, reason: string) => new ApiError(REQUEST, { code, reason, message: reason });
