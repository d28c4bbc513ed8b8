import type { Load } from '../kit/load.ts';
import type { OperatorProcess } from '../kit/operator-process.ts';
import type { Spec } from '../kit/kit.ts';

const LIMIT_MS = 300_000;

/** Shapes of 500 steps, and one of as many instances as a step can have beside as many steps. */
export const graphs: Readonly<Record<string, Spec>> = {
  '500 steps, 10 side by side': layered(50, 10),
  '500 steps, 498 side by side': wide(498),
  '500 steps, one of them with 256 instances': withInstances(499, 256),
};

/** What one run of a graph took. */
export interface GraphFigures {
  title: string;
  seconds: number;
  reconciles: number;
  /** Milliseconds of the operator's CPU, for all of the run. */
  cpuMs: number;
  /** Milliseconds of one reconcile from its beginning to its end, its requests included. */
  reconcileMs: number;
  statusBytes: number;
}

/** Layers of steps, each of which waits for the whole layer before. */
function layered(layers: number, width: number): Spec {
  const name = (layer: number, place: number) => `l${layer}-${place}`;
  const before = (layer: number) =>
    layer === 0 ? [] : Array.from({ length: width }, (_, place) => name(layer - 1, place));
  const steps = Array.from({ length: layers * width }, (_, index) => {
    const layer = Math.floor(index / width);
    return { name: name(layer, index % width), dependsOn: before(layer), script: { bash: 'true' } };
  });
  return { steps };
}

/** One step, then many side by side, then one that comes when the last of them has ended. */
function wide(width: number): Spec {
  const names = Array.from({ length: width }, (_, index) => `w${index}`);
  return {
    steps: [
      { name: 'first', script: { bash: 'true' } },
      ...names.map((name) => ({ name, dependsOn: ['first'], script: { bash: 'true' } })),
      // A step waits for at most 256 others by name: the join is of some of them, finally waits for all.
      { name: 'last', dependsOn: names.slice(-256), script: { bash: 'true' } },
    ],
  };
}

function withInstances(steps: number, instances: number): Spec {
  const items = Array.from({ length: instances }, (_, index) => `item-${index}`);
  const { steps: others } = layered(1, steps);
  return {
    steps: [...others, { name: 'each', dependsOn: [], forEach: { items }, script: { bash: 'true' } }],
  };
}

/** Runs one graph once on an operator that does nothing else. */
export async function measureGraph(
  title: string,
  { load, operator }: { load: Load; operator: OperatorProcess },
): Promise<GraphFigures> {
  await load.apply('graph', graphs[title] ?? { steps: [] });
  const before = await reconcilesOf(operator);
  const cpu = operator.cpuSeconds();
  const started = Date.now();
  const [run] = await load.finished(await load.start('graph', 1), LIMIT_MS);
  if (run?.status?.phase !== 'Succeeded')
    throw new Error(`${title}: ${JSON.stringify(run?.status?.message)}`);
  const after = await reconcilesOf(operator);
  const reconciles = after.count - before.count;
  return {
    title,
    seconds: (Date.parse(run.status.finishedAt ?? '') - started) / 1000,
    reconciles,
    cpuMs: (operator.cpuSeconds() - cpu) * 1000,
    reconcileMs: ((after.seconds - before.seconds) * 1000) / reconciles,
    statusBytes: Buffer.byteLength(JSON.stringify(run.status)),
  };
}

/** How many reconciles of runs there were, and the seconds that they took together. */
async function reconcilesOf(operator: OperatorProcess): Promise<{ count: number; seconds: number }> {
  const text = await operator.metrics();
  const sum = (suffix: string) =>
    [...text.matchAll(/^signalbox_reconcile_duration_seconds_(\w+)\{([^}]*)\} (\S+)$/gm)]
      .filter(([, name, labels]) => name === suffix && labels?.includes('controller="run"'))
      .reduce((total, [, , , value]) => total + Number(value), 0);
  return { count: sum('count'), seconds: sum('sum') };
}

/** The figures as a Markdown table; `writes` are those of the operator for the whole run. */
export function graphTable(figures: readonly (GraphFigures & { writes: number })[]): string {
  const head =
    '| graph | seconds | reconciles | ms each | operator CPU | status | API writes by the operator |';
  const rows = figures.map(
    ({ title, seconds, reconciles, reconcileMs, cpuMs, statusBytes, writes }) =>
      `| ${title} | ${seconds.toFixed(1)} | ${reconciles} | ${reconcileMs.toFixed(1)} | ${(cpuMs / 1000).toFixed(2)} s | ${(statusBytes / 1024).toFixed(0)} KiB | ${writes} |`,
  );
  return [head, '|---|---|---|---|---|---|---|', ...rows].join('\n');
}
