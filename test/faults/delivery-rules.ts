import type { WorkflowRun } from '../../src/api/resources.ts';
import type { DrawnStep, DrawnWorkflow } from './drawn.ts';
import { type Finding, finding } from './findings.ts';
import type { Deliveries, Receiver } from './receiver.ts';

/** Judges what the calls of a run came to where they arrived. */
export function deliveryFindings(workflow: DrawnWorkflow, run: WorkflowRun, receiver: Receiver): Finding[] {
  const name = run.metadata.name ?? '';
  const deliveries = receiver.deliveries();
  return workflow.steps
    .filter(({ repeats }) => repeats !== undefined)
    .flatMap((step) => {
      const row = run.status?.steps?.find((one) => one.name === step.name);
      const arrived = deliveries.get(`/${name}/${step.name}`);
      const told = (message: string) => `step ${step.name}: ${message}`;
      return [
        ...repetitions(step, arrived, row?.attempt ?? 0)
          .map(told)
          .map(finding('Twice', name)),
        ...(row?.phase === 'Succeeded' && !arrived
          ? [finding('Lost', name)(told('succeeded, and no request came'))]
          : []),
      ];
    });
}

/** Each attempt has one key. The same may come again after an interruption, if the step says so. */
function repetitions({ repeats }: DrawnStep, arrived: Deliveries | undefined, attempts: number): string[] {
  const keys = arrived?.keys ?? new Map<string, number>();
  const again = [...keys].filter(([, count]) => !repeats && count > 1).map(([key]) => key);
  return [
    ...(keys.has('') ? ['a request came without an Idempotency-Key'] : []),
    ...(keys.size > attempts ? [`${keys.size} different keys came for ${attempts} attempts`] : []),
    ...again.map((key) => `the request with the key ${key} came twice`),
  ];
}
