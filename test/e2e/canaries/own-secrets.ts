import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import { NAMESPACE } from '../../demo/install.ts';
import type { Kit } from '../../kit/kit.ts';
import { secretOfPem } from '../../kit/private-key.ts';
import { derivedKey, PURPOSES } from '../../../src/storage/keys.ts';
import { replicas } from './places.ts';
import { type Plants, secretKey } from './plants.ts';

const KEYS = 'signalbox-keys';
const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const PEM = /-----BEGIN (?:EC )?PRIVATE KEY-----[^-]+-----END (?:EC )?PRIVATE KEY-----/g;

/** Adds what the operator has of its own: its keys, what follows from them, and the keys of its certificates. */
export async function addOwnSecrets(kit: Kit, plants: Plants): Promise<void> {
  const { items } = await kit.get<{ items: Secret[] }>('secrets', '-n', NAMESPACE);
  for (const { metadata, data = {} } of items) {
    const name = metadata?.name ?? '';
    for (const [key, value] of Object.entries(data)) {
      const bytes = Buffer.from(value, 'base64');
      if (name === KEYS) addKey(plants, key, bytes);
      for (const [index, [pem]] of [...bytes.toString('latin1').matchAll(PEM)].entries()) {
        plants.add(`${name}/${key} ${index}`, secretOfPem(pem), [secretKey(NAMESPACE, name)]);
      }
    }
  }
  await addTokens(kit, plants);
}

/** The chart makes the key; Helm keeps what it has installed in Secrets of its own, beside that of the keys. */
function addKey(plants: Plants, id: string, bytes: Buffer): void {
  const secret = bytes.length === 32 ? bytes : Buffer.from(bytes.toString('latin1'), 'base64');
  const releases = secretKey(NAMESPACE, 'sh.helm.release.v1.signalbox.*');
  plants.add(`${KEYS}/${id}`, secret, [secretKey(NAMESPACE, KEYS), releases]);
  for (const purpose of PURPOSES)
    plants.add(`${KEYS}/${id} ${purpose}`, derivedKey({ id, secret }, purpose), []);
}

/** The tokens by which the replicas of the operator are known to the API server. */
async function addTokens(kit: Kit, plants: Plants): Promise<void> {
  for (const { metadata } of await replicas(kit)) {
    const name = metadata?.name ?? '';
    const token = await kit.kubectl(['exec', '-n', NAMESPACE, name, '--', 'cat', TOKEN_FILE]);
    plants.add(`token of ${name}`, signatureOf(token), []);
  }
}

/** The part of a token that nobody can make up; the others are known to many. */
export const signatureOf = (token: string) => token.trim().split('.').at(-1) ?? '';
