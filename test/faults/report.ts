import type { CampaignResult } from './run-campaign.ts';
import type { Verdict } from './findings.ts';
import { isReplaced, isTurnedAway } from './turn-rules.ts';

/** Findings that are printed; all of them are kept in the folder. */
const SHOWN = 20;

/** What came of a campaign, for people. */
export function reportOn(result: CampaignResult, seed: string): string {
  const { findings, folder } = result;
  const rows = [...outcomeRows(result), ...countRows(result), ['seed', seed], ['verdict', verdictOf(result)]];
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const table = rows.map(([name = '', value]) => `${name.padEnd(width)}  ${value}`).join('\n');
  if (findings.length === 0) return table;
  const shown = findings
    .slice(0, SHOWN)
    .map(({ verdict, about, message }) => `${verdict} ${about}: ${message}`);
  const more = findings.length > SHOWN ? [`and ${findings.length - SHOWN} more`] : [];
  const where = `Logs, runs, workflows, faults and the audit log: ${folder}`;
  return [table, '', ...shown, ...more, where].join('\n');
}

function outcomeRows({ runs, made, seconds }: CampaignResult): string[][] {
  const phases = Map.groupBy(runs, ({ status }) => status?.phase ?? 'Pending');
  const ends = [...phases].map(([phase, list]) => `${list.length} ${phase}`).toSorted();
  const steps = runs.flatMap(({ status }) => status?.steps ?? []);
  const pods = made.filter(({ kind }) => kind === 'Pod');
  return [
    ['runs', `${runs.length} (${ends.join(', ')})`],
    ['steps', String(steps.length)],
    ['pods', String(pods.length)],
    ['runs that were turned away', String(runs.filter(isTurnedAway).length)],
    ['runs that were replaced', String(runs.filter(isReplaced).length)],
    ['seconds', seconds.toFixed(0)],
  ];
}

function countRows({ counts }: CampaignResult): string[][] {
  return [...counts]
    .map(([what, count]) => [what, String(count)])
    .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1));
}

function verdictOf({ findings }: CampaignResult): string {
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length;
  return `${count('Lost')} lost, ${count('Twice')} twice, ${count('Wrong')} wrong`;
}
