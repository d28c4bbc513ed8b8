import * as z from 'zod';

/** What is known about the packages of the lockfile. */
export type Audit =
  | { outcome: 'Clean'; packages: number }
  | { outcome: 'Advisories'; lines: string[] }
  /** Nobody was there who could have told. */
  | { outcome: 'NotAudited'; why: string }
  | { outcome: 'Broken'; why: string };

const advisory = z.object({ title: z.string(), url: z.string(), severity: z.string(), range: z.string() });

/** What `npm audit --json` prints. */
const audited = z.object({
  auditReportVersion: z.literal(2),
  vulnerabilities: z.record(
    z.string(),
    z.object({ nodes: z.array(z.string()), via: z.array(z.union([z.string(), advisory])) }),
  ),
  metadata: z.object({ dependencies: z.object({ total: z.number() }) }),
});
const failed = z.object({ message: z.string(), statusCode: z.number().optional() });

/** How a registry says that it knows nothing of audits. */
const NO_ENDPOINT = new Set([404, 405, 501]);
/** How Node says that nobody answers. */
const NO_ANSWER = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT/;

/** @param text what `npm audit --json` printed */
export function readAudit(text: string): Audit {
  const report = parse(text);
  const { data: failure } = failed.safeParse(report);
  if (failure) {
    const { message, statusCode } = failure;
    const isAbsent = statusCode === undefined ? NO_ANSWER.test(message) : NO_ENDPOINT.has(statusCode);
    return { outcome: isAbsent ? 'NotAudited' : 'Broken', why: message };
  }
  const { data } = audited.safeParse(report);
  if (!data) return { outcome: 'Broken', why: `npm audit gave no report: ${text.slice(0, 200)}` };
  const entries = Object.entries(data.vulnerabilities);
  if (entries.length === 0) return { outcome: 'Clean', packages: data.metadata.dependencies.total };
  return { outcome: 'Advisories', lines: entries.flatMap(([name, found]) => linesOf(name, found)) };
}

function linesOf(name: string, { via, nodes }: z.infer<typeof audited>['vulnerabilities'][string]): string[] {
  return via.map((one) =>
    typeof one === 'string'
      ? `${name} (${nodes.join(', ')}): by way of ${one}`
      : `${name} ${one.range} (${nodes.join(', ')}): ${one.severity}: ${one.title}, ${one.url}`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
