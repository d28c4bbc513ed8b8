import { readFile } from 'node:fs/promises';
import type { Cluster } from '../cluster/cluster.ts';

/** One finished request, from the API server's audit log. */
export interface AuditEntry {
  verb: string;
  /** `pods`, `pods/status`, ... */
  resource: string;
  namespace: string;
  name: string;
  code: number;
  /** First word of the user agent. */
  client: string;
  /** When the API server had received it, and when it had answered, in milliseconds since the epoch. */
  receivedAt: number;
  answeredAt: number;
}

interface AuditEvent {
  stage: string;
  verb: string;
  userAgent?: string;
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code?: number };
  requestReceivedTimestamp: string;
  stageTimestamp: string;
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Every write that has been answered, in the order of the answers. The cluster must have been made with `audit`. */
export async function writes(cluster: Pick<Cluster, 'auditLog'>): Promise<AuditEntry[]> {
  const lines = (await readFile(cluster.auditLog, 'utf8')).split('\n').filter((line) => line.endsWith('}'));
  return lines
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(isWrite)
    .map(entryOf);
}

function isWrite({ stage, verb, objectRef }: AuditEvent): boolean {
  return stage === 'ResponseComplete' && WRITES.has(verb) && objectRef !== undefined;
}

function entryOf({ verb, userAgent = '', objectRef = {}, responseStatus, ...times }: AuditEvent): AuditEntry {
  const { resource = '', subresource, namespace = '', name = '' } = objectRef;
  return {
    verb,
    resource: subresource ? `${resource}/${subresource}` : resource,
    namespace,
    name,
    code: responseStatus?.code ?? 0,
    client: userAgent.split(/[/ ]/)[0] ?? '',
    receivedAt: Date.parse(times.requestReceivedTimestamp),
    answeredAt: Date.parse(times.stageTimestamp),
  };
}
