import { spawn } from 'node:child_process';
import { prepare } from '../cluster/requirements.ts';
import { reportTo } from '../cluster/report.ts';
import { boot, helmInstall, NAMESPACE, root, scriptImage } from './install.ts';

const report = reportTo(process.stderr);
await prepare(report);
const cluster = await boot({ name: 'signalbox' }, report);
// Definitions and rights as the chart gives them, and none of its pods: nor webhooks, which nobody would answer.
await helmInstall(cluster, report, { replicas: '0', 'admission.enabled': 'false' });

console.log(`The operator runs from source, again after each change. In another terminal:

  export KUBECONFIG=${cluster.kubeconfig}
  alias kubectl=${cluster.kubectl}
`);
const args = [
  '--watch',
  '--enable-source-maps',
  'src/main.ts',
  // The lease of the chart: an operator that was installed by `make demo` and is still ending must not work beside this.
  `--lease-namespace=${NAMESPACE}`,
  `--script-image=${scriptImage}`,
  '--log-level=debug',
];
const operator = spawn(process.execPath, args, {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => operator.kill(signal));
operator.on('exit', (code) => process.exit(code ?? 0));
