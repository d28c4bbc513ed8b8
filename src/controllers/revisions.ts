import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ControllerRevision } from 'kubernetes-types/apps/v1.d.ts';
import { compile } from '../engine/graph.ts';
import type { Graph, Problem } from '../engine/model.ts';
import type { WorkflowSpec } from '../api/workflow.ts';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Sealing } from '../engine/vote.ts';
import { isNotFound } from '../kube/errors.ts';
import type { ObjectName } from '../kube/resource.ts';
import { keyOf } from '../kube/store.ts';
import { stepTypes } from '../steps/index.ts';
import { LABELS, labelValue } from '../steps/labels.ts';
import type { Cluster } from './cluster.ts';
import { describe } from './problems.ts';
import type { RunView, WorkflowView } from './views.ts';

/** A workflow as runs execute it, which never changes. */
export interface Revision {
  name: string;
  spec: WorkflowSpec;
  graph: Graph;
  /** SHA-256 of the spec, in hex. */
  digest: string;
}

/** The frozen workflows: ControllerRevisions named by their content and shared by all runs of it. */
export interface Revisions {
  /** The revision of a workflow as it is now, stored before this returns; or what is wrong with the workflow. */
  freeze(workflow: WorkflowView): Promise<Revision | { problems: Problem[] }>;
  /** What the status of a run says of the revision that it was accepted with. */
  mark(run: Pick<RunView, 'uid'>, revision: Revision): Mark;
  /** The revision that a run executes, or why there is none: it is the one that the run was accepted with. */
  load(run: RunView): Promise<Revision | Unusable>;
}

export type Mark = Pick<WorkflowRunStatus, 'revision' | 'revisionSeal'>;

/** Why a run can not go on with its revision. */
export interface Unusable {
  reason: 'RevisionNotFound' | 'RevisionInvalid';
  message: string;
}

/** Compiled workflows kept in memory; one of 500 steps takes about a megabyte. */
const CACHE_SIZE = 256;
const NAME_LENGTH = 253;

/** @param sealing undefined where the operator has no keys: then a name stands for its content, and no seal is asked for */
export function createRevisions(
  { revisions }: Pick<Cluster, 'revisions'>,
  sealing: Sealing | undefined,
): Revisions {
  const cache = new Map<string, Revision>();

  function remember(key: string, revision: Revision): Revision {
    const oldest = cache.size >= CACHE_SIZE ? cache.keys().next().value : undefined;
    if (oldest !== undefined) cache.delete(oldest);
    cache.set(key, revision);
    return revision;
  }

  const freezing = new Map<string, ReturnType<Revisions['freeze']>>();

  async function store(workflow: WorkflowView, name: string): Promise<Revision | { problems: Problem[] }> {
    const compiled = compile(workflow.spec, stepTypes);
    if (!compiled.ok) return { problems: compiled.problems };
    const { namespace } = workflow;
    const { object } = await revisions.client.ensure({
      metadata: { name, namespace, labels: { [LABELS.workflow]: labelValue(workflow.name) } },
      data: { spec: workflow.spec },
      revision: workflow.generation,
    });
    if (!isDeepStrictEqual(specIn(object), workflow.spec)) return { problems: [foreign(name)] };
    revisions.store.upsert(object);
    const { graph } = compiled;
    const digest = digestOf(workflow.spec);
    return remember(keyOf({ namespace, name }), { name, spec: workflow.spec, graph, digest });
  }

  async function find({ namespace, status }: RunView): Promise<Revision | Unusable> {
    const name = status.revision ?? '';
    const key = keyOf({ namespace, name });
    const known = cache.get(key);
    if (known) return known;
    const object = name === '' ? undefined : await read({ namespace, name });
    if (!object) return { reason: 'RevisionNotFound', message: missing(name) };
    const spec = specIn(object);
    const compiled = compile(spec, stepTypes);
    if (!compiled.ok || !spec) {
      const why = compiled.ok ? 'It holds no workflow.' : describe(compiled.problems);
      return unusable(`The ControllerRevision ${name} can not be executed: ${why}`);
    }
    return { name, spec, graph: compiled.graph, digest: digestOf(spec) };
  }

  /** Whoever may write a status or a ControllerRevision must not have a run execute what it was not accepted with. */
  function judge({ uid, spec, status }: RunView, { name, digest }: Revision): Unusable | undefined {
    if (name !== revisionName(spec.workflowRef.name, digest)) return unusable(altered(name));
    if (!sealing) return undefined;
    const isOurs = sealing.isOurs('revision', textOf(uid, digest), status.revisionSeal ?? '');
    return isOurs ? undefined : unusable(unsealed(name));
  }

  return {
    async freeze(workflow) {
      const name = revisionName(workflow.name, digestOf(workflow.spec));
      const key = keyOf({ namespace: workflow.namespace, name });
      const known = cache.get(key);
      if (known && revisions.store.get(key)) return known;
      // Many runs may be started at once: one of them stores what all of them execute.
      const begun = freezing.get(key);
      if (begun) return begun;
      const stored = store(workflow, name).finally(() => freezing.delete(key));
      freezing.set(key, stored);
      return stored;
    },

    mark: ({ uid }, { name, digest }) => ({
      revision: name,
      ...(sealing ? { revisionSeal: sealing.seal('revision', textOf(uid, digest)) } : {}),
    }),

    async load(run) {
      const found = await find(run);
      if (!('graph' in found)) return found;
      return judge(run, found) ?? remember(keyOf({ namespace: run.namespace, name: found.name }), found);
    },
  };

  async function read(name: ObjectName): Promise<ControllerRevision | undefined> {
    try {
      return await revisions.client.get(name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

/** What the object holds is checked before it is executed. */
const specIn = ({ data }: ControllerRevision): WorkflowSpec | undefined =>
  (data as { spec?: WorkflowSpec })?.spec;

const missing = (name: string): string =>
  name === ''
    ? 'The status of the run does not name the ControllerRevision that it executes: it was changed by hand.'
    : `The ControllerRevision ${name} was deleted.`;

const foreign = (name: string): Problem => ({
  field: 'metadata.name',
  message: `the ControllerRevision ${name}, whose name stands for this workflow as it is, holds something else: delete it`,
});

const unusable = (message: string): Unusable => ({ reason: 'RevisionInvalid', message });

const altered = (name: string): string =>
  `The ControllerRevision ${name} does not hold the workflow that its name stands for, or is not one of the workflow of this run: it was changed by hand. Create another run.`;

const unsealed = (name: string): string =>
  `The status does not prove that the run was accepted with ControllerRevision ${name}: it was changed by hand, or the key that sealed it is gone. Create another run.`;

/** What is sealed when a run is accepted. */
const textOf = (runUid: string, digest: string): string => JSON.stringify([runUid, digest]);

/** The API server gives the fields of a spec in the order of their names, and those of a revision as they were sent. */
const digestOf = (spec: WorkflowSpec): string =>
  createHash('sha256').update(JSON.stringify(spec)).digest('hex');

/** Named by content: whoever freezes the same workflow gives it the same name. */
function revisionName(workflow: string, digest: string): string {
  const hash = digest.slice(0, 16);
  return `${workflow.slice(0, NAME_LENGTH - hash.length - 1)}-${hash}`;
}
