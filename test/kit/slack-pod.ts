import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Service } from 'kubernetes-types/core/v1.d.ts';
import { scriptImage } from '../demo/install.ts';
import type { ReceivedBySlack } from './fake-slack.ts';
import type { Kit } from './kit.ts';

const NAME = 'fake-slack';
const PORT = 8080;
const SOURCES = ['fake-slack.ts', 'block-kit.ts'];

/** The fake Slack in a pod, and the Secret `slack` with its token for the workflows of the namespace. */
export interface SlackPod {
  /** All that it was sent, in order. */
  received(): Promise<ReceivedBySlack[]>;
}

/** Where the operator reaches the fake Slack of a namespace: the value of `slack.apiUrl`. */
export const slackApiUrl = (namespace: string) => `http://${NAME}.${namespace}.svc:${PORT}/api`;

export async function deployFakeSlack(kit: Kit): Promise<SlackPod> {
  const token = 'xoxb-1-in-a-pod';
  const sources = SOURCES.map(async (name) => [
    name,
    await readFile(path.join(import.meta.dirname, name), 'utf8'),
  ]);
  const items = [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: NAME },
      data: Object.fromEntries(await Promise.all(sources)),
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'slack', labels: { 'signalbox.dev/use': 'true' } },
      stringData: { token },
    },
    podOf(token),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: NAME },
      spec: { selector: { app: NAME }, ports: [{ port: PORT }] },
    },
  ];
  await kit.apply({ apiVersion: 'v1', kind: 'List', items });
  await kit.kubectl(['wait', `pod/${NAME}`, '--for=condition=Ready', '--timeout=50s']);
  const { spec } = await kit.get<Service>('service', NAME);
  return {
    async received() {
      const response = await fetch(`http://${spec?.clusterIP}:${PORT}/received`);
      const { received } = (await response.json()) as { received: ReceivedBySlack[] };
      return received;
    },
  };
}

const podOf = (token: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: NAME, labels: { app: NAME } },
  spec: {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'slack',
        image: scriptImage,
        imagePullPolicy: 'Never',
        command: ['node', '/slack/fake-slack.ts'],
        env: [
          { name: 'PORT', value: String(PORT) },
          { name: 'SLACK_TOKEN', value: token },
        ],
        readinessProbe: { httpGet: { path: '/received', port: PORT }, periodSeconds: 1 },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: [{ name: 'slack', mountPath: '/slack' }],
      },
    ],
    volumes: [{ name: 'slack', configMap: { name: NAME } }],
  },
});
