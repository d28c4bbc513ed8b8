import type { AuditEntry } from '../kit/audit.ts';
import { type Finding, finding } from './findings.ts';

/** Answers to a write that passes a schema and permissions, however late it comes and whoever else writes. */
const REFUSED_FOR_GOOD = new Set([400, 403, 422]);

const made = ({ verb, code }: AuditEntry) => verb === 'create' && code === 201;
const succeeded = ({ code }: AuditEntry) => code >= 200 && code < 300;

/**
 * Judges what the operators asked of the API server, by its own log.
 *
 * @param entries all writes, in the order of their answers
 * @param clients names of the operators in the log
 * @param revisions names of the revisions that runs execute
 */
export function auditFindings(
  entries: readonly AuditEntry[],
  clients: readonly string[],
  revisions: ReadonlySet<string>,
): Finding[] {
  const own = entries.filter(({ client }) => clients.includes(client));
  return [...repeated(own), ...deletions(own, revisions), ...refusals(own), ...staleWrites(own)];
}

function repeated(entries: readonly AuditEntry[]): Finding[] {
  const creations = entries.filter(
    (entry) => made(entry) && ['jobs', 'pods', 'workflowruns'].includes(entry.resource),
  );
  const byName = Map.groupBy(creations, ({ resource, name }) => `${resource}/${name}`);
  return [...byName]
    .filter(([, list]) => list.length > 1)
    .map(([name, list]) => finding('Twice', name)(`was created ${list.length} times`));
}

/** The campaign gives the operator no reason to delete anything but pods, and revisions that no run executes. */
function deletions(entries: readonly AuditEntry[], revisions: ReadonlySet<string>): Finding[] {
  const mayGo = ({ resource, name }: AuditEntry) =>
    resource === 'pods' || (resource === 'controllerrevisions' && !revisions.has(name));
  return entries
    .filter((entry) => entry.verb.startsWith('delete') && succeeded(entry) && !mayGo(entry))
    .map(({ resource, name }) => finding('Twice', `${resource}/${name}`)('was deleted by the operator'));
}

function refusals(entries: readonly AuditEntry[]): Finding[] {
  return entries
    .filter(({ code }) => REFUSED_FOR_GOOD.has(code))
    .map(({ verb, resource, name, code }) =>
      finding('Wrong', `${resource}/${name}`)(`the API server refused to ${verb} it, with ${code}`),
    );
}

/** What every replica writes, whether it leads or not: it serves the webhooks, and asks who may do what. */
const OF_EVERYBODY = new Set([
  'leases',
  'localsubjectaccessreviews',
  'mutatingwebhookconfigurations',
  'secrets',
  'validatingwebhookconfigurations',
]);

/** Writes by one that had lost the lease: another had taken it before they arrived. */
function staleWrites(entries: readonly AuditEntry[]): Finding[] {
  const renewals = entries.filter((entry) => entry.resource === 'leases' && succeeded(entry));
  const holderAt = (time: number) => renewals.findLast(({ answeredAt }) => answeredAt < time)?.client;
  return entries
    .filter((entry) => !OF_EVERYBODY.has(entry.resource) && succeeded(entry))
    .filter((entry) => ![entry.client, undefined].includes(holderAt(entry.receivedAt)))
    .map(({ client, verb, resource, name }) =>
      finding('Wrong', `${resource}/${name}`)(`${client} was let ${verb} it, and held the lease no more`),
    );
}
