import type { WorkflowRun } from '../../src/api/resources.ts';
import { type Cluster } from '../cluster/cluster.ts';
import { applyProjects, codeOf } from '../kit/example-projects.ts';
import { deployForge, type Repository } from '../kit/forge.ts';
import { allowForge, readingFrom } from '../kit/forge-access.ts';
import { createKit, type Kit } from '../kit/kit.ts';
import { deployFakeSlack, type SlackPod } from '../kit/slack-pod.ts';
import { type Approver, letApprove } from './people.ts';

export const EXAMPLE = 'production-deploy';
/** Where the demo happens; what an earlier one left in it is removed. */
export const NAMESPACE = 'demo';
/** Answers with 200 once the deployment is there; the operator stands in for the API. */
const HEALTH = 'http://signalbox-metrics.signalbox-system.svc:8080/readyz';
const LIMIT_MS = 180_000;

/** What is there before somebody pushes the change that the demo is about. */
const BEFORE = { 'terraform/live.auto.tfvars': 'gateway = "v1"\nsettings = {}\n' };
const CHANGE = 'Add rate limiting to API';

/** Everything that the deployment of the demo needs. */
export interface Scene {
  kit: Kit;
  slack: SlackPod;
  /** Pushes the change. Gives the name of the run that it starts. */
  push(): Promise<string>;
}

/** Sets up a forge with the code of the example, its Project, what is deployed already, a Slack, and who may approve. */
export async function setScene(
  cluster: Cluster,
  approver: Approver,
  say: (text: string) => void,
): Promise<Scene> {
  const kit = createKit(cluster, NAMESPACE);
  await kit.kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=120s']);
  await kit.makeNamespace();
  say('Starting a git forge and a stand-in for Slack in the cluster');
  const [forge, slack] = await Promise.all([deployForge(cluster, kit), deployFakeSlack(kit)]);
  await allowForge(kit, forge);
  await letApprove(kit, approver);
  const repository = await forge.createRepository('api-infrastructure');
  const code = await codeOf(EXAMPLE);
  await repository.push({ ...code, ...BEFORE }, { message: 'Begin with the gateway' });
  await applyProjects(kit, EXAMPLE, (project) => readingFrom(project, repository, 'https'));
  say('Deploying what is there before the change');
  await begin(kit);
  return { kit, slack, push: () => pushChange(kit, repository, code) };
}

async function begin(kit: Kit): Promise<void> {
  const run = await kit.runWorkflow(
    'begin',
    {
      steps: [
        { name: 'apply', terraform: { project: 'api-infrastructure', action: 'apply', autoApprove: true } },
      ],
    },
    {},
    LIMIT_MS,
  );
  if (run.status?.phase !== 'Succeeded')
    throw new Error(`The first deployment failed: ${JSON.stringify(run.status)}`);
}

async function pushChange(kit: Kit, repository: Repository, code: Record<string, string>): Promise<string> {
  const commit = await repository.push(code, { message: CHANGE });
  const run: WorkflowRun = {
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'WorkflowRun',
    metadata: { generateName: `${EXAMPLE}-` },
    spec: {
      workflowRef: { name: EXAMPLE },
      params: { health: HEALTH },
      trigger: {
        type: 'GitPush',
        git: { branch: 'main', commit, message: CHANGE, author: 'sam@example.com' },
      },
    },
  };
  return kit.create(run);
}
