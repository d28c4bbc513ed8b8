import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { writes } from '../kit/audit.ts';
import type { Load } from '../kit/load.ts';
import { auditFindings } from './audit-rules.ts';
import { type Conductor, startConductor } from './conductor.ts';
import { deliveryFindings } from './delivery-rules.ts';
import { endFindings, isClosed } from './end-rules.ts';
import { type Finding, finding } from './findings.ts';
import type { Made } from './history.ts';
import { clientOf, type Replica } from './replica.ts';
import { openSite, type Site } from './site.ts';
import { isAtWork } from './journal.ts';
import { drawWorkflow } from './workflows.ts';

export interface CampaignOptions {
  /** Name of the cluster that is booted for it. */
  cluster: string;
  /** Most runs that are started. */
  runs: number;
  /** No run is started after this time. */
  minutes: number;
  seed: string;
  /** How many kills there are between two changes of the leader. */
  killsPerTakeover: number;
}

/** What came of a campaign. */
export interface CampaignResult {
  findings: readonly Finding[];
  runs: readonly WorkflowRun[];
  made: readonly Made[];
  /** How often each thing was done or injected. */
  counts: ReadonlyMap<string, number>;
  seconds: number;
  /** Where everything about a campaign that is not clean is kept. */
  folder: string | undefined;
}

const MINUTE_MS = 60_000;
/** Runs that have not ended, beyond which no further one is started. */
const MOST_ACTIVE = 48;
/** After the last start, the trouble goes on for so long unless all runs end before. */
const AFTERMATH_MS = 10_000;
/** Once nothing goes wrong any more, every run ends within this time. */
const HEALED_WITHIN_MS = 120_000;
const POLL_MS = 100;
/** Ends of the operator that a fault explains: it lost its lease, or found no API server when it started. */
const EXPLAINED = /the lease was lost|no answer from the API server|injected by the fault campaign/;

/** Boots a cluster, starts runs, does all the harm there is, heals it, and judges. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  await using site = await openSite(options);
  const begun = performance.now();
  const conductor = startConductor({
    random: site.random.fork('conductor'),
    replicas: site.replicas,
    killsPerTakeover: options.killsPerTakeover,
    count: site.count,
    onStubborn: (replica) =>
      site.findings.push(finding('Wrong', replica)('goes on although it has lost the lease')),
  });
  const { failure } = site.voters;
  const started = await Promise.race([harm(site, options, conductor), conductor.failure, failure]);
  await Promise.race([heal(site, conductor.leader), failure]);
  const seconds = (performance.now() - begun) / 1000;
  const findings = await judge(site, started);
  return {
    findings,
    runs: [...site.history.runs.values()],
    made: [...site.history.made.values()],
    counts: site.counts,
    seconds,
    folder: findings.length > 0 ? await site.keep(findings) : undefined,
  };
}

/** Starts all runs, and gives their names when the trouble is over. */
async function harm(site: Site, options: CampaignOptions, conductor: Conductor): Promise<string[]> {
  const started = await startRuns(site, options);
  await until(() => active(site.load) === 0 && site.owners.isContent(), AFTERMATH_MS);
  await conductor.stop();
  return started;
}

/** Draws workflows and starts one or two runs of each. Gives the names of the runs. */
async function startRuns(site: Site, { runs, minutes }: CampaignOptions): Promise<string[]> {
  const choices = site.random.fork('starts');
  const deadline = Date.now() + minutes * MINUTE_MS;
  const names: string[] = [];
  for (let index = 0; names.length < runs && Date.now() < deadline; index++) {
    const workflow = drawWorkflow(site.random.fork(`workflow ${index}`), `w${index}`);
    await site.apply(workflow);
    const count = Math.min(runs - names.length, workflow.concurrency ? 3 : choices.int(1, 2));
    for (let run = 0; run < count; run++) {
      names.push(await site.owners.start(workflow));
      await sleep(choices.int(20, 300));
    }
    await until(() => active(site.load) < MOST_ACTIVE, deadline - Date.now());
  }
  return names;
}

const active = (load: Load): number =>
  [...load.runs().values()].filter(({ status }) => status?.finishedAt === undefined).length;

/** Whether it came true within the time. */
async function until(isTrue: () => boolean, limitMs: number): Promise<boolean> {
  const deadline = Date.now() + limitMs;
  while (!isTrue()) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** From now on nothing goes wrong; waits for the end of all runs and of what follows it. */
async function heal({ replicas, load, history, owners, voters }: Site, leader: Replica): Promise<void> {
  for (const { faults } of replicas) faults.active = false;
  await leader.kill('SIGKILL');
  const isOver = () =>
    active(load) === 0 &&
    owners.isContent() &&
    [...history.made.values()].every((made) => isClosed(made) && !isAtWork(made));
  await until(isOver, HEALED_WITHIN_MS);
  await voters.close();
  await leader.retire();
}

async function judge(site: Site, started: readonly string[]): Promise<Finding[]> {
  const { cluster, history, journal, replicas, receiver, workflowOf } = site;
  const entries = await writes(cluster);
  const ends = replicas.flatMap(({ ownEnds }) => ownEnds);
  for (const _end of ends) site.count('ended by itself');
  return [
    ...site.findings,
    ...journal.findings,
    ...endFindings({
      started,
      runs: history.runs,
      made: [...history.made.values()],
      intents: journal.intents,
      ballots: site.ballots,
      lives: journal.lives,
      ends: journal.ends,
      continued: site.owners.continued,
      forgotten: site.forgotten,
      workflowOf,
    }),
    ...[...history.runs.values()].flatMap((run) => {
      const workflow = workflowOf(run);
      return workflow ? deliveryFindings(workflow, run, receiver) : [];
    }),
    ...auditFindings(
      entries,
      replicas.map(({ name }) => clientOf(name)),
      new Set([...history.runs.values()].map(({ status }) => status?.revision ?? '')),
    ),
    ...ends
      .filter(({ lastWords }) => !EXPLAINED.test(lastWords))
      .map(({ replica, code, lastWords }) => finding('Wrong', replica)(`ended with ${code}: ${lastWords}`)),
  ];
}
