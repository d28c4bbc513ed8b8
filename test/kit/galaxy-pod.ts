import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { runnerImage, scriptImage } from '../demo/install.ts';
import { buildCollection, collectionSource } from './ansible-collection.ts';
import type { Kit } from './kit.ts';

const NAME = 'fake-galaxy';
const PORT = 8080;
const PROGRAM = 'fake-galaxy.ts';

/** Keys of a ConfigMap can not have a slash. */
const keyOf = (file: string) => file.replaceAll('/', '.');

/** Runs the fake Galaxy in a pod, with a collection that the real ansible-galaxy has built. Gives its address for pods. */
export async function deployFakeGalaxy(kit: Kit): Promise<string> {
  const source = Object.entries(collectionSource).map(([file, text]) => [keyOf(file), text]);
  const program = await readFile(path.join(import.meta.dirname, PROGRAM), 'utf8');
  const items = [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: NAME },
      data: { ...Object.fromEntries(source), [PROGRAM]: program },
    },
    podOfGalaxy,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: NAME },
      spec: { selector: { app: NAME }, ports: [{ port: PORT }] },
    },
  ];
  await kit.apply({ apiVersion: 'v1', kind: 'List', items });
  await kit.kubectl(['wait', `pod/${NAME}`, '--for=condition=Ready', '--timeout=55s']);
  return `http://${NAME}.${kit.namespace}.svc:${PORT}`;
}

const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

const podOfGalaxy = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: NAME, labels: { app: NAME } },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      fsGroup: 65_532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    initContainers: [
      {
        name: 'build',
        image: runnerImage('ansible'),
        imagePullPolicy: 'Never',
        command: buildCollection('/source', '/collections'),
        securityContext: restricted,
        volumeMounts: [
          { name: 'source', mountPath: '/source' },
          { name: 'collections', mountPath: '/collections' },
          { name: 'home', mountPath: '/home/signalbox' },
          { name: 'tmp', mountPath: '/tmp' },
        ],
      },
    ],
    containers: [
      {
        name: 'galaxy',
        image: scriptImage,
        imagePullPolicy: 'Never',
        command: ['node', `/program/${PROGRAM}`, '/collections', String(PORT)],
        readinessProbe: { httpGet: { path: '/api/', port: PORT }, periodSeconds: 1 },
        securityContext: restricted,
        volumeMounts: [
          { name: 'program', mountPath: '/program' },
          { name: 'collections', mountPath: '/collections' },
        ],
      },
    ],
    volumes: [
      {
        name: 'source',
        configMap: {
          name: NAME,
          items: Object.keys(collectionSource).map((file) => ({ key: keyOf(file), path: file })),
        },
      },
      { name: 'program', configMap: { name: NAME, items: [{ key: PROGRAM, path: PROGRAM }] } },
      { name: 'collections', emptyDir: {} },
      { name: 'home', emptyDir: {} },
      { name: 'tmp', emptyDir: {} },
    ],
  },
};
