import { createHash } from 'node:crypto';
import { compile } from '../engine/graph.ts';
import type { Graph, Problem } from '../engine/model.ts';
import type { WorkflowSpec } from '../api/workflow.ts';
import { isNotFound } from '../kube/errors.ts';
import { keyOf } from '../kube/store.ts';
import { stepTypes } from '../steps/index.ts';
import { LABELS, labelValue } from '../steps/labels.ts';
import type { Cluster } from './cluster.ts';
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
  /** The revision that a run executes; undefined when it was deleted. */
  load(run: RunView): Promise<Revision | undefined>;
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

    async load(run) {
      const name = run.status.revision ?? '';
      const key = keyOf({ namespace: run.namespace, name });
      const known = cache.get(key);
      if (known) return known;
      const spec = await readSpec({ namespace: run.namespace, name });
      if (!spec) return undefined;
      const compiled = compile(spec, stepTypes);
      return compiled.ok ? remember(key, { name, spec, graph: compiled.graph }) : undefined;
    },
  };

  async function readSpec(name: { namespace: string; name: string }): Promise<WorkflowSpec | undefined> {
    try {
      const { data } = await revisions.client.get(name);
      return (data as { spec: WorkflowSpec }).spec;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

/** Named by content: whoever freezes the same workflow gives it the same name. */
function revisionName({ name, spec }: WorkflowView): string {
  const hash = createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 16);
  return `${name.slice(0, NAME_LENGTH - hash.length - 1)}-${hash}`;
}
