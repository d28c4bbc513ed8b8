import type { BadWorkflow } from './bad-workflow.ts';

/** The line of what people are told that is about the mistake, without what kubectl writes around it. */
export function lineAbout({ message }: BadWorkflow, told: string): string | undefined {
  const line = told.split('\n').find((one) => one.includes(message));
  return line?.replace(/^(\* |The Workflow "\S+" is invalid: )/, '');
}

/** The page docs/api/mistakes.md, from each mistake and the line that was told about it. */
export function mistakesPage(mistakes: readonly { bad: BadWorkflow; line: string }[]): string {
  const rows = mistakes.map(
    ({ bad: { title, refusedBy }, line }) => `| ${title} | ${refusedBy} | ${cell(line)} |`,
  );
  return `${HEAD}\n${rows.join('\n')}\n`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '\\<');

const HEAD = `# Mistakes in a workflow, and what you are told

<!-- Written by test/integration/api/api.test.ts: each was made on an API server. -->

All are refused at \`kubectl apply\`: by the schema, which tells what it finds first, or by [admission](../admission.md), which tells all that it finds at once. Without admission, what it would refuse shows as the condition \`Ready\` of the Workflow, in its STATUS column and in \`kubectl describe\`.

| Mistake | Refused by | Message |
| --- | --- | --- |`;
