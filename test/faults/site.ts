import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { loadConnection } from '../../src/kube/config.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { bootSimulated } from '../integration/operator/setup.ts';
import type { Load } from '../kit/load.ts';
import { bundle } from '../kit/operator-process.ts';
import { admit } from './admitted.ts';
import type { ApiCall } from './api-call.ts';
import { type Ballots, createBallots } from './ballots.ts';
import type { DrawnWorkflow } from './drawn.ts';
import { createFaults, type Injected } from './faults.ts';
import { type Finding, finding } from './findings.ts';
import { type History, type Made, observe } from './history.ts';
import { RECEIVER } from './kinds/http.ts';
import { createJournal, type Journal } from './journal.ts';
import { createOwners, type Owners } from './owners.ts';
import { createPeopleApi } from './people-api.ts';
import { persist } from './persist.ts';
import { createRandom, type Random } from './random.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { createReplica, type Replica } from './replica.ts';
import { createVoters, type Voters } from './voters.ts';

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
  owners: Owners;
  ballots: Ballots;
  voters: Voters;
  /** What was found wrong beside the journal's findings. */
  findings: Finding[];
  counts: ReadonlyMap<string, number>;
  count(what: string): void;
  /** Keeps what there is to look at when the site is gone. Gives the folder. */
  keep(findings: readonly Finding[]): Promise<string>;
}

/** What is counted when something befalls an operator. */
const BLOW = /^injected Kill|^killed |^asked to stop$|taken over from$/;

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
  const replicas: Replica[] = [];
  const admitted = stack.use(
    await admit(cluster, () => replicas.flatMap(({ admissionPort }) => admissionPort ?? [])),
  );
  const random = createRandom(options.seed);
  const limit = drawLimit(random.fork('limits'));
  const workflows = new Map<string, DrawnWorkflow>();
  const workflowOf = ({ spec }: WorkflowRun) => workflows.get(spec.workflowRef.name);
  const counts = new Map<string, number>();
  let blow = Promise.withResolvers<void>();
  const count = (what: string) => {
    counts.set(what, (counts.get(what) ?? 0) + 1);
    if (!BLOW.test(what)) return;
    blow.resolve();
    blow = Promise.withResolvers();
  };
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
    const { operator: target } = admitted;
    const flags = limit ? [...admitted.flags, `--max-active-runs-per-namespace=${limit}`] : admitted.flags;
    const replica = await createReplica({ name, target, folder, flags, program, faults, onForgotten });
    stack.defer(() => replica.close());
    replicas.push(replica);
    return replica;
  };

  const journal = createJournal(workflowOf, limit);
  /** What was drawn to be deleted is deleted as soon as it is there. */
  const harm = (made: Made) => {
    const run = history.runs.get(made.run);
    const step = run && workflowOf(run)?.steps.find(({ name }) => name === made.step);
    if (step?.accident !== `${made.kind}Deleted`) return;
    count(`${made.kind} deleted by somebody`);
    history.remove(made).catch(() => undefined);
  };
  const findings: Finding[] = [];
  const people = stack.use(createPeopleApi(target));
  const ballots = createBallots();
  const onWrong = (run: string, message: string) => void findings.push(finding('Wrong', run)(message));
  const owners = createOwners({ api: people, workflowOf, count, onWrong });
  const voters = createVoters({
    api: people,
    ballots,
    workflowOf,
    count,
    onWrong,
    blow: () => blow.promise,
  });
  stack.defer(() => voters.close());
  const receiver = stack.use(await startReceiver());
  const history = await observe(target, {
    onRun(before, after) {
      journal.onRun(before, after);
      owners.onRun(after);
      voters.onRun(after);
    },
    onMade(made) {
      journal.onMade(made);
      harm(made);
    },
  });
  stack.defer(() => history.close());
  const pair = [await replicaOf('a'), await replicaOf('b')] as const;
  const cleanup = stack.move();

  return {
    cluster,
    load,
    replicas: pair,
    history,
    journal,
    random,
    receiver,
    forgotten,
    owners,
    ballots,
    voters,
    async apply(workflow) {
      for (const one of [...workflow.children, workflow]) {
        workflows.set(one.name, one);
        const params = [
          ...(one.spec.params ?? []),
          { name: RECEIVER, type: 'string', default: receiver.url } as const,
        ];
        await persist(() => load.apply(one.name, { ...one.spec, params }));
      }
    },
    workflowOf,
    findings,
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

/** How many runs may be active at a time, in every other campaign. */
const drawLimit = (random: Random): number | undefined =>
  random.chance(0.5) ? random.int(8, 16) : undefined;
