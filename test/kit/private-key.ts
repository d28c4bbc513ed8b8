import { createPrivateKey } from 'node:crypto';

const TYPE = 'ssh-ed25519';

/** What is secret of an Ed25519 key of OpenSSH: 32 bytes, which stand before the public key where that comes last. */
export function secretOfSshKey(privateKey: string): Buffer {
  const whole = Buffer.from(privateKey.replaceAll(/-----[^-]*-----|\s/g, ''), 'base64');
  const begin = whole.indexOf(TYPE) + TYPE.length + 4;
  const end = whole.lastIndexOf(whole.subarray(begin, begin + 32));
  return whole.subarray(end - 32, end);
}

/** What is secret of a key on a curve, in bytes. */
export function secretOfPem(pem: string): Buffer {
  const { d = '' } = createPrivateKey(pem).export({ format: 'jwk' });
  return Buffer.from(d, 'base64url');
}
