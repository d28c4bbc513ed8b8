import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cgroupOf } from './cgroups.ts';
import { nodeName } from './certificates.ts';
import { certificate, flags, type Site } from './control-plane.ts';
import { mtu } from './machine.ts';
import { pauseImage } from './base-images.ts';
import { containerdSocket } from './images.ts';

/** Writes what containerd, its network plugin and the kubelet are configured with. */
export async function writeNodeFiles(site: Site): Promise<void> {
  const { folder } = site;
  await mkdir(path.join(folder, 'cni'), { recursive: true });
  await writeFile(path.join(folder, 'cni', '10-pods.conflist'), JSON.stringify(podNetwork(site)));
  await writeFile(path.join(folder, 'containerd.toml'), containerdConfiguration(folder));
  await writeFile(path.join(folder, 'kubelet.json'), JSON.stringify(kubeletConfiguration(site)));
}

export function containerdCommand({ folder }: Site): string[] {
  return ['containerd', '--config', path.join(folder, 'containerd.toml')];
}

export function kubeletCommand({ programs, folder, addresses }: Site): string[] {
  return [
    programs.kube,
    'kubelet',
    ...flags({
      config: path.join(folder, 'kubelet.json'),
      kubeconfig: path.join(folder, 'certificates', 'kubelet.kubeconfig'),
      'hostname-override': nodeName,
      'node-ip': addresses.host,
    }),
  ];
}

export function proxyCommand(site: Site): string[] {
  const { podRange, ports } = site.addresses;
  return [
    site.programs.kube,
    'kube-proxy',
    ...flags({
      kubeconfig: certificate(site, 'kube-proxy.kubeconfig'),
      'hostname-override': nodeName,
      'proxy-mode': 'nftables',
      'cluster-cidr': podRange,
      'healthz-bind-address': `127.0.0.1:${ports.proxyHealth}`,
      'metrics-bind-address': `127.0.0.1:${ports.proxyMetrics}`,
      'conntrack-max-per-core': 0, // the machine's own limit, which a network namespace may not change
    }),
  ];
}

// A link for each pod, not a bridge: what pods send each other then passes kube-proxy's rules, both ways.
function podNetwork({ addresses: { podRange } }: Site) {
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: podRange }]],
    routes: [{ dst: '0.0.0.0/0' }],
    dataDir: '/run/cni',
  };
  return { cniVersion: '0.4.0', name: 'pods', plugins: [{ type: 'ptp', mtu, ipam }] };
}

// Its state lies on the machine's own /run, so it is gone when the machine is, as after a reboot.
function containerdConfiguration(folder: string): string {
  return `version = 2
root = "${folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "${containerdSocket(folder)}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true # a machine without CAP_SYS_RESOURCE may not lower the score
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
`;
}

function kubeletConfiguration(site: Site) {
  const { folder, settings, addresses } = site;
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    port: addresses.ports.kubelet,
    healthzPort: 0,
    tlsCertFile: certificate(site, 'kubelet.crt'),
    tlsPrivateKeyFile: certificate(site, 'kubelet.key'),
    authentication: { anonymous: { enabled: false }, x509: { clientCAFile: certificate(site, 'ca.crt') } },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: `unix://${containerdSocket(folder)}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: cgroupOf(settings.name),
    enforceNodeAllocatable: [],
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    clusterDNS: [addresses.dnsService],
    clusterDomain: 'cluster.local',
    resolvConf: '', // pods ask the cluster's DNS, which knows the resolvers of this machine
    // The disk is shared with much else, and an image that was loaded can't be pulled again.
    evictionHard: { 'memory.available': '100Mi' },
    imageGCHighThresholdPercent: 100,
    // Secrets that are mounted are looked at as often; a minute, which is usual, is long to wait for in a test.
    syncFrequency: '10s',
    maxPods: 250,
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
  };
}
