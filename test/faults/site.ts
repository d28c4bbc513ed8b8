import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { loadConnection } from '../../src/kube/config.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { bootSimulated } from '../integration/operator/setup.ts';
import type { Load } from '../kit/load.ts';
import { bundle } from '../kit/operator-process.ts';
import type { ApiCall } from './api-call.ts';
import type { DrawnWorkflow } from './drawn.ts';
import { createFaults, type Injected } from './faults.ts';
import type { Finding } from './findings.ts';
import { type History, type Made, observe } from './history.ts';
import { RECEIVER } from './kinds/http.ts';
import { createRandom, type Random } from './random.ts';
import { createJournal, type Journal } from './journal.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { createReplica, type Replica } from './replica.ts';

/** Where a campaign takes place: a cluster, two operators behind proxies, and one who watches it all. */
export interface Site extends AsyncDisposable {
  cluster: Cluster;
  load: Load;
  replicas: readonly [Replica, Replica];
  history: History;
  journal: Journal;
  random: Random;
  workflowOf(run: WorkflowRun): DrawnWorkflow | undefined;
  receiver: Receiver;
  /** Names of the objects of which the API server said that it had forgotten that far back. */
  forgotten: ReadonlySet<string>;
  /** Gives the workflow, and those that it runs, to the API server. */
  apply(workflow: DrawnWorkflow): Promise<void>;
  /** What was found wrong beside the journal's findings. */
  findings: Finding[];
  counts: ReadonlyMap<string, number>;
  count(what: string): void;
  /** Keeps what there is to look at when the site is gone. Gives the folder. */
  keep(findings: readonly Finding[]): Promise<string>;
}

/** Whether the step that does not end by itself is under way. */
function isHanging({ steps }: DrawnWorkflow, { status }: WorkflowRun): boolean {
  const hanging = steps.find(({ expected }) => expected.reason === 'RunTimedOut');
  return status?.steps?.find(({ name }) => name === hanging?.name)?.phase === 'Running';
}

export async function openSite(options: { cluster: string; seed: string }): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const { cluster, load } = stack.use(
    await bootSimulated({ name: options.cluster, audit: true, podDuration: 0.2 }),
  );
  const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-faults-'));
  let isKept = false;
  stack.defer(async () => {
    if (!isKept) await rm(folder, { recursive: true });
  });
  const target = await loadConnection({ kubeconfig: cluster.kubeconfig });
  const random = createRandom(options.seed);
  const workflows = new Map<string, DrawnWorkflow>();
  const workflowOf = ({ spec }: WorkflowRun) => workflows.get(spec.workflowRef.name);
  const counts = new Map<string, number>();
  const count = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const injected: object[] = [];
  const forgotten = new Set<string>();
  const onForgotten = ({ name }: ApiCall) => {
    count('history that was really forgotten');
    forgotten.add(name);
  };
  const program = await bundle();

  const replicaOf = async (name: string): Promise<Replica> => {
    const onInjected = ({ kind, call }: Injected) => {
      count(`injected ${kind}`);
      injected.push({ at: new Date().toISOString(), replica: name, kind, ...call });
    };
    const faults = createFaults(random.fork(`faults ${name}`), onInjected);
    const replica = await createReplica({ name, target, folder, program, faults, onForgotten });
    stack.defer(() => replica.close());
    return replica;
  };

  const journal = createJournal(workflowOf);
  /** What was drawn to be deleted is deleted as soon as it is there. */
  const harm = (made: Made) => {
    const run = history.runs.get(made.run);
    const step = run && workflowOf(run)?.steps.find(({ name }) => name === made.step);
    if (step?.accident !== `${made.kind}Deleted`) return;
    count(`${made.kind} deleted by somebody`);
    history.remove(made).catch(() => undefined);
  };
  const receiver = stack.use(await startReceiver());
  const cancelled = new Set<string>();
  /** What was drawn to be cancelled is cancelled when its last step is under way. */
  const cancel = (run: WorkflowRun) => {
    const { name = '' } = run.metadata;
    const workflow = workflowOf(run);
    if (workflow?.endedBy !== 'Cancel' || !isHanging(workflow, run) || cancelled.has(name)) return;
    cancelled.add(name);
    count('run cancelled by somebody');
    history.cancel(run).catch(() => cancelled.delete(name));
  };
  const history = await observe(target, {
    onRun(before, after) {
      journal.onRun(before, after);
      cancel(after);
    },
    onMade(made) {
      journal.onMade(made);
      harm(made);
    },
  });
  stack.defer(() => history.close());
  const replicas = [await replicaOf('a'), await replicaOf('b')] as const;
  const cleanup = stack.move();

  return {
    cluster,
    load,
    replicas,
    history,
    journal,
    random,
    receiver,
    forgotten,
    async apply(workflow) {
      for (const one of [...workflow.children, workflow]) {
        workflows.set(one.name, one);
        const params = [
          ...(one.spec.params ?? []),
          { name: RECEIVER, type: 'string', default: receiver.url } as const,
        ];
        await load.apply(one.name, { ...one.spec, params });
      }
    },
    workflowOf,
    findings: [],
    counts,
    count,
    async keep(findings) {
      isKept = true;
      const write = (name: string, value: unknown) =>
        writeFile(path.join(folder, name), `${JSON.stringify(value, null, 1)}\n`);
      await Promise.all([
        copyFile(cluster.auditLog, path.join(folder, 'audit.jsonl')),
        write('findings.json', findings),
        write('injected.json', injected),
        write('workflows.json', [...workflows.values()]),
        write('runs.json', [...history.runs.values()]),
        write('made.json', [...history.made.values()]),
      ]);
      return folder;
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}
