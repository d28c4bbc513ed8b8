import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { AnsibleDetails } from '../api/runner.ts';
import { RunnerError } from './failure.ts';

const count = z.int().min(0);

/** What Ansible's statistics say of one host, by the names that they have there. */
const statistics = z.object({
  ok: count,
  changed: count,
  unreachable: count,
  failures: count,
  skipped: count,
  rescued: count,
  ignored: count,
});

/** What the callback writes down during a run. */
const ansibleRecord = z.object({
  /** By host. Null until the run ends in good order. */
  hosts: z.record(z.string(), statistics).nullable(),
  plays: count,
  /** How many of them matched no host. */
  unmatched: count,
  /** The task that began last. */
  task: z.string().nullable(),
  /** By host, what went wrong last, in the order of time. */
  troubles: z.record(z.string(), z.object({ task: z.string(), message: z.string() })),
  /** What tasks gave to set_stats for the whole run. */
  outputs: z.record(z.string(), z.json()),
});
export type AnsibleRecord = z.infer<typeof ansibleRecord>;

/**
 * Reads the record.
 * @returns nothing where Ansible ended before the first task
 * @throws RunnerError `RecordInvalid`
 */
export async function readRecord(file: string): Promise<AnsibleRecord | undefined> {
  if (!existsSync(file)) return undefined;
  const record = ansibleRecord.safeParse(parse(await readFile(file, 'utf8')));
  if (record.success) return record.data;
  throw new RunnerError(
    'RecordInvalid',
    `What the callback of the image wrote down is not understood. Use a runner image of the operator's version. ${z.prettifyError(record.error)}`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type Hosts = NonNullable<AnsibleRecord['hosts']>;
export type Recap = NonNullable<AnsibleDetails['hosts']>[number];

/** The recap of each host, the troubled ones first, and then by name. */
export function recapsOf(hosts: Hosts): Recap[] {
  const recaps = Object.entries(hosts).map(([host, { failures, ...counts }]) => ({
    host,
    ...counts,
    failed: failures,
  }));
  const trouble = ({ failed, unreachable }: Recap) => Number(failed + unreachable > 0);
  return recaps.sort((a, b) => trouble(b) - trouble(a) || (a.host < b.host ? -1 : 1));
}

/** All hosts together. */
export function totalOf(recaps: readonly Recap[]): AnsibleDetails['recap'] {
  const sum = (field: keyof AnsibleDetails['recap']) =>
    recaps.reduce((total, recap) => total + recap[field], 0);
  return {
    ok: sum('ok'),
    changed: sum('changed'),
    unreachable: sum('unreachable'),
    failed: sum('failed'),
    skipped: sum('skipped'),
    rescued: sum('rescued'),
    ignored: sum('ignored'),
  };
}

/** `3 hosts: 9 ok, 4 changed, 1 failed`: the first two always, the others where there are any. Tags may leave no task. */
export function summarize(recaps: readonly Recap[], mode: 'run' | 'check'): string {
  if (recaps.length === 0) return 'no task ran';
  const { ok, changed, failed, unreachable, rescued, ignored } = totalOf(recaps);
  const more = Object.entries({ failed, unreachable, rescued, ignored }).filter(([, count]) => count > 0);
  const counts = [`${ok} ok`, `${changed} changed`, ...more.map(([name, count]) => `${count} ${name}`)];
  const hosts = recaps.length === 1 ? '1 host' : `${recaps.length} hosts`;
  return `${hosts}: ${counts.join(', ')}${mode === 'check' ? ' (check mode)' : ''}`;
}

/** One host as Ansible's own recap shows it. */
export const recapLine = ({ host, ok, changed, unreachable, failed }: Recap) =>
  `${host}: ok=${ok} changed=${changed} unreachable=${unreachable} failed=${failed}`;
