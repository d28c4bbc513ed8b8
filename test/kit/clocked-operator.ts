import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { type OperatorProcess, startOperator } from './operator-process.ts';

/** Operators whose time of day the test sets, and that of the API server as they see it. Timers go on as they are. */
export interface ClockedOperators extends AsyncDisposable {
  /** Sets what time it is for all of them, from now on. */
  setClock(time: string): void;
  start(identity: string): OperatorProcess;
}

export async function clockedOperators(cluster: Pick<Cluster, 'kubeconfig'>): Promise<ClockedOperators> {
  const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-clock-'));
  const file = path.join(folder, 'offset');
  writeFileSync(file, '0');
  const preload = new URL('../faults/shifted-clock.ts', import.meta.url);
  preload.searchParams.set('file', file);
  preload.searchParams.set('servers', '');
  const all: OperatorProcess[] = [];
  return {
    setClock: (time) => writeFileSync(file, String(Date.parse(time) - Date.now())),
    start(identity) {
      const flags = [`--identity=${identity}`];
      const operator = startOperator(cluster, flags, undefined, [`--import=${preload.href}`]);
      all.push(operator);
      return operator;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((operator) => operator.stop('SIGKILL')));
      await rm(folder, { recursive: true });
    },
  };
}
