import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Cluster } from '../cluster/cluster.ts';
import { run } from '../cluster/command.ts';
import type { Report } from '../cluster/report.ts';
import { certManagerCrds, ensureTool } from '../cluster/tools.ts';

const LIMIT_MS = 10_000;

/** cert-manager, beside a cluster and at work in it. */
export interface CertManager extends AsyncDisposable {
  /** What it has logged so far. */
  log(): string;
}

/**
 * Installs the definitions of cert-manager's resources and runs its own controllers and its injector, as a process of
 * this machine. Its webhook, which tells mistakes in its resources early, is not there.
 */
export async function startCertManager(cluster: Cluster, report: Report): Promise<CertManager> {
  const program = await ensureTool('cert-manager', report);
  const kubectl = [cluster.kubectl, '--kubeconfig', cluster.kubeconfig];
  await run([...kubectl, 'apply', '--server-side', '--filename', await certManagerCrds()]);
  await run([...kubectl, 'wait', 'crd', '--for=condition=Established', '--timeout=20s', ...definitions]);
  // It ends with this process, whatever ends that.
  const argv = ['--pdeathsig', 'KILL', '--', program, '--cluster', cluster.kubeconfig];
  const child = spawn('setpriv', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
  }
  return {
    log: () => log,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit', { signal: AbortSignal.timeout(LIMIT_MS) });
      child.kill('SIGTERM');
      await exited;
    },
  };
}

const definitions = ['certificates', 'certificaterequests', 'issuers', 'clusterissuers'].map(
  (plural) => `${plural}.cert-manager.io`,
);
