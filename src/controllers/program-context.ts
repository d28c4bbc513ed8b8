import type { StartEffect } from '../engine/model.ts';
import { keyOf } from '../kube/store.ts';
import {
  type AttemptGrant,
  type Images,
  type ProgramContext,
  ProgramError,
  type RunnerAccess,
} from '../steps/step-type.ts';
import type { Cluster } from './cluster.ts';
import type { RunView } from './views.ts';

/** What the operator lets the pod of one attempt do at the runner API. */
export interface Grant extends AttemptGrant {
  namespace: string;
  /** Name of the pod. */
  pod: string;
  run: { name: string; uid: string };
  row: string;
  attempt: number;
}

/** How runners reach the operator; undefined while they can not. */
export type Runners = () => (Omit<RunnerAccess, 'sign'> & { sign(grant: Grant): string }) | undefined;

interface Means {
  cluster: Pick<Cluster, 'projects'>;
  images: Images;
  runners: Runners;
}

/** What the program of one attempt is made from. */
export function programContextOf(
  { namespace, name, uid, status }: RunView,
  { id, step, attempt, evaluate }: StartEffect,
  { cluster, images, runners }: Means,
): ProgramContext {
  return {
    images,
    evaluate,
    terraformOf: (row) => status.steps?.find((other) => other.name === row)?.terraform,

    project(project) {
      const known = cluster.projects.store.get(keyOf({ namespace, name: project }));
      if (known) return known.spec;
      const message = `There is no Project ${project} in namespace ${namespace}: create it, and the step goes on.`;
      throw new ProgramError('ProjectNotFound', message, { passing: true });
    },

    access() {
      const api = runners();
      if (!api) throw new ProgramError('RunnerApiOff', RUNNER_API_OFF);
      const sign = (grant: AttemptGrant) =>
        api.sign({ ...grant, namespace, pod: id, run: { name, uid }, row: step, attempt });
      return { url: api.url, ca: api.ca, sign };
    },
  };
}

const RUNNER_API_OFF =
  'The operator has no keys to keep plans and states with, so that steps can not work on Projects: install the chart with its Secret of keys, or name the folder of the keys with --keys-dir.';
