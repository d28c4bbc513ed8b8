/**
 * Makes every mistake of bad-workflows.ts on the cluster of $KUBECONFIG, where the operator runs, and prints what
 * people are told, as the page docs/api/mistakes.md. kubectl is taken from $KUBECTL or the PATH.
 */
import type { BadWorkflow } from './bad-workflow.ts';
import { badWorkflows } from './bad-workflows.ts';
import { kubectlOf } from './kubectl.ts';

const { KUBECTL = 'kubectl', KUBECONFIG } = process.env;
if (!KUBECONFIG) throw new Error('set KUBECONFIG to the file that says which cluster to use');
const kubectl = kubectlOf(KUBECTL, KUBECONFIG);

async function messageOf({ title, yaml, refusedBy, message }: BadWorkflow): Promise<string> {
  const applied = await kubectl(['apply', '-f', '-'], yaml);
  if (applied.ok !== (refusedBy === 'Ready condition')) throw new Error(`${title}: ${applied.text}`);
  const text = applied.ok ? await conditionMessage() : applied.text;
  const line = text.split('\n').find((line) => line.includes(message));
  if (line === undefined) throw new Error(`${title}: expected "${message}" in: ${text}`);
  return line.replace(/^(\* |The Workflow "\S+" is invalid: )/, '');
}

async function conditionMessage(): Promise<string> {
  await kubectl(['wait', 'workflow', 'bad', '--for', 'condition=Ready=False', '--timeout', '30s']);
  const jsonPath = 'jsonpath={.status.conditions[?(@.type=="Ready")].message}';
  const { text } = await kubectl(['get', 'workflow', 'bad', '-o', jsonPath]);
  await kubectl(['delete', 'workflow', 'bad']);
  return text;
}

console.log(`# Mistakes in a workflow, and what you are told

<!-- Printed by test/integration/api/bad-workflows-table.ts: each was made on a cluster. -->

What the API server can see is refused at \`kubectl apply\`. The rest shows as the condition \`Ready\` of the Workflow, in its STATUS column and in \`kubectl describe\`.

| Mistake | Told by | Message |
| --- | --- | --- |`);
for (const bad of badWorkflows) {
  const message = (await messageOf(bad)).replaceAll('|', '\\|').replaceAll('<', '\\<');
  console.log(`| ${bad.title} | ${bad.refusedBy} | ${message} |`);
}
