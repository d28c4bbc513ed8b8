import { parseArgs } from 'node:util';
import { type Cluster, down, status, up } from './cluster.ts';
import { load } from './images.ts';
import { prepare } from './requirements.ts';
import { reportTo } from './report.ts';
import { clusterFolder, type ClusterOptions } from './settings.ts';
import { adminKubeconfig } from './certificates.ts';

const usage = `A real Kubernetes cluster on this machine.

  node test/cluster/cli.ts up [options]     make it, or complete it; leaves a whole one as it is
  node test/cluster/cli.ts down             end it and remove all that it left on this machine
  node test/cluster/cli.ts status           what runs, and where its logs are
  node test/cluster/cli.ts kubeconfig       print the path of the admin's kubeconfig
  node test/cluster/cli.ts load IMAGE       import an image that was built on this machine with images.ts
  node test/cluster/cli.ts prepare          install Debian packages (as root) and build the programs, nothing else

  --name NAME            which cluster                                       (signalbox)
  --control-plane        API server, etcd and controllers only; needs no root
  --simulated-nodes N    nodes whose pods only pretend to run; implies --control-plane
  --pod-duration S       seconds that a simulated pod takes                  (0.2)
  --pod-message TEXT     termination message of a simulated pod
  --audit                write an audit log
  --controller-qps N     requests a second of the built-in controllers       (100)
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'signalbox' },
    'control-plane': { type: 'boolean', default: false },
    'simulated-nodes': { type: 'string' },
    'pod-duration': { type: 'string' },
    'pod-message': { type: 'string' },
    audit: { type: 'boolean', default: false },
    'controller-qps': { type: 'string' },
  },
});

function toOptions(): ClusterOptions {
  const { name, audit } = values;
  return {
    name,
    audit,
    controlPlane: values['control-plane'],
    ...(values['simulated-nodes'] && { simulatedNodes: Number(values['simulated-nodes']) }),
    ...(values['pod-duration'] && { podDuration: Number(values['pod-duration']) }),
    ...(values['pod-message'] && { podMessage: values['pod-message'] }),
    ...(values['controller-qps'] && { controllerQps: Number(values['controller-qps']) }),
  };
}

function describe(cluster: Cluster): string {
  return `Cluster "${cluster.name}" is up at ${cluster.server}\n\n  export KUBECONFIG=${cluster.kubeconfig}\n  alias kubectl=${cluster.kubectl}\n`;
}

async function main([command, image]: readonly string[]): Promise<string> {
  const report = reportTo(process.stderr);
  switch (command ?? 'help') {
    case 'up':
      return describe(await up(toOptions(), report));
    case 'down':
      await down(values.name);
      return `Cluster "${values.name}" is gone.\n`;
    case 'status':
      return status(values.name);
    case 'load':
      if (!image) throw new Error('Name the image to load, such as: load localhost/signalbox-base/node:26');
      await load({ folder: clusterFolder(values.name) }, image);
      return `Cluster "${values.name}" has image ${image}.\n`;
    case 'kubeconfig':
      return `${adminKubeconfig(clusterFolder(values.name))}\n`;
    case 'prepare':
      await prepare(report);
      return '';
    default:
      throw new Error(usage);
  }
}

try {
  process.stdout.write(await main(positionals));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
