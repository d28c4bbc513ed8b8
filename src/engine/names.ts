import { shortHash } from './hash.ts';

/** Longest name: a pod's, since it is also its host name and a label. */
const MAX_NAME = 63;

/**
 * The name of one attempt: of its Job, its run, or its call: `<run>-<step>-<hash>-<attempt>`, a DNS label.
 *
 * The hash is over the UID of the run and the name of the step, and is always there: run `a-b` with step `c` and run
 * `a` with step `b-c` read the same without it, and a run that was deleted and made again under its old name must
 * not meet the Jobs that its predecessor left. Long names are cut; the hash keeps them apart.
 *
 * @param round how often the run was continued after its end: what is done over is never taken for what was done
 */
export function jobName(
  run: { name: string; uid: string },
  step: string,
  attempt: number,
  round = 0,
): string {
  const seed = round === 0 ? `${run.uid}/${step}` : `${run.uid}/${step}/${round}`;
  const suffix = `-${shortHash(seed)}-${attempt}`;
  const room = MAX_NAME - suffix.length - 1;
  const runLabel = label(run.name);
  const stepLabel = label(step);
  const stepRoom = Math.max(Math.floor(room / 2), room - runLabel.length);
  const shortStep = trim(stepLabel.slice(0, stepRoom));
  return `${trim(runLabel.slice(0, room - shortStep.length))}-${shortStep}${suffix}`;
}

/** Names of runs may have dots, which a host name must not. */
const label = (name: string) => name.replaceAll(/[^a-z0-9-]/g, '-');
const trim = (name: string) => name.replaceAll(/^-+|-+$/g, '');
