import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ControllerRevision } from 'kubernetes-types/apps/v1.d.ts';
import { compile } from '../engine/graph.ts';
import type { Graph, Problem } from '../engine/model.ts';
import type { WorkflowSpec } from '../api/workflow.ts';
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
}

/** The frozen workflows: ControllerRevisions named by their content and shared by all runs of it. */
export interface Revisions {
  /** The revision of a workflow as it is now, stored before this returns; or what is wrong with the workflow. */
  freeze(workflow: WorkflowView): Promise<Revision | { problems: Problem[] }>;
  /** The revision that a run executes, or why there is none. */
  load(run: RunView): Promise<Revision | Unusable>;
}

/** Why a run can not go on with its revision. */
export interface Unusable {
  reason: 'RevisionNotFound' | 'RevisionInvalid';
  message: string;
}

/** Compiled workflows kept in memory; one of 500 steps takes about a megabyte. */
const CACHE_SIZE = 256;
const NAME_LENGTH = 253;

export function createRevisions({ revisions }: Cluster): Revisions {
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
    return remember(keyOf({ namespace, name }), { name, spec: workflow.spec, graph: compiled.graph });
  }

  return {
    async freeze(workflow) {
      const name = revisionName(workflow);
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

    async load({ namespace, status }) {
      const name = status.revision ?? '';
      const key = keyOf({ namespace, name });
      const known = cache.get(key);
      if (known) return known;
      const object = name === '' ? undefined : await read({ namespace, name });
      if (!object) return { reason: 'RevisionNotFound', message: missing(name) };
      const spec = specIn(object);
      const compiled = compile(spec, stepTypes);
      if (compiled.ok && spec) return remember(key, { name, spec, graph: compiled.graph });
      const why = compiled.ok ? 'It holds no workflow.' : describe(compiled.problems);
      return {
        reason: 'RevisionInvalid',
        message: `The ControllerRevision ${name} can not be executed: ${why}`,
      };
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

/** Named by content: whoever freezes the same workflow gives it the same name. */
function revisionName({ name, spec }: WorkflowView): string {
  const hash = createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 16);
  return `${name.slice(0, NAME_LENGTH - hash.length - 1)}-${hash}`;
}
