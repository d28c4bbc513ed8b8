import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import { API_VERSION } from '../../../src/api/common.ts';
import { waitFor } from '../../cluster/wait.ts';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import type { WrongClock } from '../../kit/wrong-clock.ts';
import type { Outcome } from '../api/kubectl.ts';
import { type AdmissionSite, PEOPLE, type Person, TEAM, told } from './setup.ts';

const LIMIT_MS = 20_000;
/** As near as it can be known. */
const NEAR_MS = 3_000;
const VOTE = 'signalbox.dev/vote-';

/** An operator, and its clock. */
export interface Replica {
  operator: OperatorProcess;
  clock: WrongClock;
}
/** The one that leads, and the one that only answers. */
export type Role = 'leader' | 'other';

/** What attackers, and those who are attacked, do. */
export interface Scene {
  site: AdmissionSite;
  /** kubectl as somebody; what it says, on one line. */
  does(person: Person, args: readonly string[], input?: object): Promise<string>;
  /** How many lines kubectl prints. */
  lines(person: Person, args: readonly string[]): Promise<number>;
  /** Sets the clocks of the operators ahead by so many milliseconds, and waits until they have seen it. */
  setClocks(aheadMs: Record<Role, number>): Promise<void>;
  /** Does something while the API server asks this operator alone. */
  through<T>(role: Role, work: () => Promise<T>): Promise<T>;
  /** `kubectl annotate` of a run; names without prefix. */
  annotates(person: Person, run: string, ...what: string[]): Promise<string>;
  /** A run of a workflow, started by ada, that waits for approval. */
  waiting(workflow: string): Promise<string>;
  /** One that nobody will change: for those who are refused anyway. */
  shared(): Promise<string>;
  run(name: string): Promise<WorkflowRun>;
  /** Waits until the run is as it should be, and gives it. */
  is(name: string, isReady: (run: WorkflowRun) => boolean): Promise<WorkflowRun>;
  /** The annotation of a vote on a run. */
  voteOn(run: string): Promise<{ name: string; value: string }>;
  /** How the run stands: its phase, and how many approvals it has. */
  stands(run: string): Promise<string>;
  /** Waits until the operator says that a vote does not count. */
  ignored(run: string): Promise<string>;
  /**
   * What the webhook of votes answers to somebody who calls it as if they were the API server.
   *
   * @param replica by the order in which they were started
   */
  asksWebhook(
    after: WorkflowRun,
    before: WorkflowRun,
    as: Person,
    replica?: number,
  ): Promise<Record<string, string>>;
}

export const approval = (approvers: string[], more: object = {}) => ({
  name: 'approval',
  approval: { approvers, timeout: '1h', ...more },
});

const workflows = {
  gate: { steps: [approval(['team:platform'])] },
  pair: { steps: [approval(['team:platform'], { required: 2 })] },
  mine: { steps: [approval(['group:developers'])] },
  two: { steps: [approval(['team:platform']), { ...approval(['team:platform']), name: 'second' }] },
  brief: { steps: [approval(['team:platform'], { timeout: '6s' })] },
  frozen: { steps: [approval(['team:platform'])] },
  deploy: { steps: [approval(['team:platform']), { name: 'apply', script: { bash: 'true' } }] },
};

export async function openScene(site: AdmissionSite, replicas: Record<Role, Replica>): Promise<Scene> {
  const { hands, as } = site;
  const does = async (person: Person, args: readonly string[], input?: object) =>
    told(await as(person)(args, input && JSON.stringify(input)));
  for (const [name, spec] of Object.entries(workflows)) await apply(as('ada'), name, spec);
  let one: Promise<string> | undefined;

  const stands = async (name: string) => {
    const { status } = await hands.run(name);
    const votes = status?.steps?.[0]?.approval?.votes ?? [];
    return `the run is ${status?.phase} with ${votes.length} votes`;
  };
  const waiting = async (workflow: string) => {
    const { ok, text: said } = await as('ada')(
      ['create', '-o', 'name', '-f', '-'],
      JSON.stringify(runOf(workflow)),
    );
    if (!ok) throw new Error(said);
    const name = said.trim().replace(/^.*\//, '');
    await hands.runIs(name, ({ status }) => status?.phase === 'AwaitingApproval');
    return name;
  };
  return {
    site,
    does,
    lines: async (person, args) => (await as(person)(args)).text.trimEnd().split('\n').length,
    async setClocks(aheadMs) {
      for (const role of ['leader', 'other'] as const) await setClock(replicas[role], aheadMs[role]);
    },
    async through(role, work) {
      site.only(replicas[role].operator);
      return work().finally(() => site.only());
    },
    annotates: (person, run, ...what) =>
      does(person, ['annotate', 'workflowrun', run, ...what.map((text) => `signalbox.dev/${text}`)]),
    waiting,
    shared: () => (one ??= waiting('gate')),
    run: hands.run,
    is: hands.runIs,
    stands,
    async voteOn(run) {
      const { annotations = {} } = (await hands.run(run)).metadata;
      const [name, value] = Object.entries(annotations).find(([key]) => key.startsWith(VOTE)) ?? [];
      if (name === undefined || value === undefined) throw new Error(`nobody has voted on ${run}`);
      return { name, value };
    },
    async ignored(run) {
      const { uid = '' } = (await hands.run(run)).metadata;
      await waitFor('the Event', LIMIT_MS, async () =>
        (await hands.told(uid)).find(({ text: event }) => event.includes('VoteIgnored')),
      ).catch(async (error: unknown) => {
        throw new Error(
          `${await stands(run)}: ${JSON.stringify([await hands.told(uid), (await hands.run(run)).metadata])}`,
          { cause: error },
        );
      });
      return `the operator says VoteIgnored; ${await stands(run)}`;
    },
    asksWebhook: (after, before, person, replica = 0) => ask(site.ports[replica] ?? 0, after, before, person),
  };
}

/** The operator hears what time it is from each answer of the API server, and it asks for its lease all the time. */
async function setClock({ operator, clock }: Replica, aheadMs: number): Promise<void> {
  await clock.set(aheadMs);
  await waitFor('the operator to see that its clock is wrong', LIMIT_MS, async () => {
    const [, offset] = /^signalbox_clock_offset_seconds (\S+)$/m.exec(await operator.metrics()) ?? [];
    return Math.abs(Number(offset) * 1000 + aheadMs) < NEAR_MS;
  });
}

export const runOf = (workflow: string, metadata: object = {}) => ({
  apiVersion: API_VERSION,
  kind: 'WorkflowRun',
  metadata: { generateName: `${workflow}-`, ...metadata },
  spec: { workflowRef: { name: workflow } },
});

async function apply(
  kubectl: (args: readonly string[], input?: string) => Promise<Outcome>,
  name: string,
  spec: object,
): Promise<void> {
  const workflow = { apiVersion: API_VERSION, kind: 'Workflow', metadata: { name }, spec };
  const { ok, text: said } = await kubectl(['apply', '-f', '-'], JSON.stringify(workflow));
  if (!ok) throw new Error(said);
}

/** The annotations that the webhook would have the API server write. */
async function ask(port: number, object: WorkflowRun, oldObject: WorkflowRun, person: Person) {
  const resource = { group: 'signalbox.dev', version: 'v1alpha1', resource: 'workflowruns' };
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'forged',
      kind: { group: resource.group, version: resource.version, kind: 'WorkflowRun' },
      resource,
      namespace: TEAM,
      operation: 'UPDATE',
      userInfo: { username: PEOPLE[person].name, groups: PEOPLE[person].groups },
      object,
      oldObject,
    },
  };
  const answer = await new Promise<string>((resolve, reject) => {
    // Who attacks does not mind whose certificate it is.
    const options = { host: '127.0.0.1', port, path: '/admission/workflowruns', rejectUnauthorized: false };
    const sent = request({ ...options, method: 'POST' }, (response) => {
      text(response).then(resolve, reject);
    });
    sent.once('error', reject);
    sent.end(JSON.stringify(review));
  });
  const { response } = JSON.parse(answer) as { response: { patch?: string } };
  if (response.patch === undefined) throw new Error(answer);
  const [{ value }] = JSON.parse(Buffer.from(response.patch, 'base64').toString()) as [
    { value: Record<string, string> },
  ];
  return value;
}
