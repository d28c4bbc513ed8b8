/** One column: figures as text, with units. */
export interface Column {
  name: string;
  oneStepRunsPerSecond: string;
  chainsPerSecond: string;
  idleChain: string;
  cpu: string;
  writes: string;
  rss: string;
}

/** What others did, and what we aim for, with pods of 0.2 s on a machine of two cores, API server included. */
export const peers: Column[] = [
  {
    name: 'Argo Workflows 4.1',
    oneStepRunsPerSecond: '43 (2.2 as shipped)',
    chainsPerSecond: '9.4',
    idleChain: '5.1 s (52 s as shipped)',
    cpu: '9.5 / 45 ms',
    writes: '7.6 / 29',
    rss: '210 MB',
  },
  {
    name: 'Tekton 1.15',
    oneStepRunsPerSecond: '50 (3.4 as shipped)',
    chainsPerSecond: '5.8',
    idleChain: '1.25 s',
    cpu: '6 / 70 ms',
    writes: '7.3 / 49',
    rss: '128 MB',
  },
  {
    name: 'Signalbox, aim',
    oneStepRunsPerSecond: '100',
    chainsPerSecond: '25',
    idleChain: '1.1 s',
    cpu: '5 / 20 ms',
    writes: '7 / 27',
    rss: '150 MB',
  },
];

const rows: [string, keyof Column][] = [
  ['one-step runs per second', 'oneStepRunsPerSecond'],
  ['five-step chains per second', 'chainsPerSecond'],
  ['one five-step chain of 0.2 s steps, idle machine', 'idleChain'],
  ['controller CPU per one-step run / per chain', 'cpu'],
  ['API writes per one-step run / per chain, all clients', 'writes'],
  ['controller RSS, peak', 'rss'],
];

/** The columns as a Markdown table. */
export function table(columns: readonly Column[]): string {
  const lines = [
    ['', ...columns.map(({ name }) => name)],
    ...rows.map(([title, field]) => [title, ...columns.map((column) => column[field])]),
  ];
  const widths = (lines[0] ?? []).map((_, index) =>
    Math.max(3, ...lines.map((line) => line[index]?.length ?? 0)),
  );
  const row = (cells: readonly string[]) =>
    `| ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`;
  const rule = row(widths.map((width) => '-'.repeat(width)));
  return [row(lines[0] ?? []), rule, ...lines.slice(1).map(row)].join('\n');
}
