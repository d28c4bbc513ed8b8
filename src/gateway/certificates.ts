import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import {
  bitString,
  boolean,
  contentOf,
  integer,
  octetString,
  oid,
  partsOf,
  sequence,
  set,
  tagged,
  time,
  utf8String,
} from './der.ts';

/** A certificate and its key, both in PEM. */
export interface Certified {
  certificate: string;
  key: string;
}

/** From when to when a certificate holds, in milliseconds since the epoch. */
export interface Validity {
  from: number;
  to: number;
}

const OIDS = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/** Makes a certificate authority. */
export function makeAuthority(name: string, validity: Validity): Certified {
  const { privateKey, publicKey } = newKey();
  const certificate = certify({
    subject: name,
    publicKey,
    issuer: { name: distinguishedName(name), key: privateKey, keyId: keyIdOf(publicKey) },
    validity,
    extensions: [
      extension(OIDS.basicConstraints, 'critical', sequence(boolean(true))),
      // keyCertSign is the sixth bit of nine.
      extension(OIDS.keyUsage, 'critical', bitString(Buffer.of(0b0000_0100), 2)),
    ],
  });
  return { certificate, key: pemOf(privateKey) };
}

/** Makes a certificate for a server with these DNS names and addresses. */
export function makeServerCertificate(
  authority: Certified,
  names: readonly string[],
  validity: Validity,
): Certified {
  const { privateKey, publicKey } = newKey();
  const certificate = certify({
    subject: names[0] ?? '',
    publicKey,
    issuer: {
      ...namesOf(new X509Certificate(authority.certificate)),
      key: createPrivateKey(authority.key),
    },
    validity,
    extensions: [
      extension(OIDS.basicConstraints, 'critical', sequence()),
      // digitalSignature is the first bit.
      extension(OIDS.keyUsage, 'critical', bitString(Buffer.of(0b1000_0000), 7)),
      extension(OIDS.extendedKeyUsage, 'plain', sequence(oid(OIDS.serverAuth))),
      extension(OIDS.subjectAltName, 'plain', sequence(...names.map(generalName))),
    ],
  });
  return { certificate, key: pemOf(privateKey) };
}

/** Each certificate of a text that holds several, in PEM. */
export function certificatesIn(pem: string): string[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (one) => `${one}\n`,
  );
}

/** Whether the certificate is good for a DNS name or an address. */
export function covers(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

/** When the first certificate of a text ends, in milliseconds since the epoch. */
export const endOf = (pem: string): number => Date.parse(new X509Certificate(pem).validTo);

interface Request {
  subject: string;
  publicKey: KeyObject;
  /** The name is one of X.501, in DER. */
  issuer: { name: Buffer; key: KeyObject; keyId: Buffer };
  validity: Validity;
  extensions: Buffer[];
}

/** A certificate of version 3, as in RFC 5280, section 4.1, in PEM. */
function certify({ subject, publicKey, issuer, validity, extensions }: Request): string {
  const algorithm = sequence(oid(OIDS.ecdsaWithSha256));
  const serial = randomBytes(16);
  const all = [
    ...extensions,
    extension(OIDS.subjectKeyIdentifier, 'plain', octetString(keyIdOf(publicKey))),
    extension(OIDS.authorityKeyIdentifier, 'plain', sequence(tagged(0x80, issuer.keyId))),
  ];
  const content = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(serial),
    algorithm,
    issuer.name,
    sequence(time(new Date(validity.from)), time(new Date(validity.to))),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...all)),
  );
  const signature = sign('sha256', content, { key: issuer.key, dsaEncoding: 'der' });
  return new X509Certificate(sequence(content, algorithm, bitString(signature))).toString();
}

function extension(id: string, weight: 'critical' | 'plain', value: Buffer): Buffer {
  return sequence(oid(id), ...(weight === 'critical' ? [boolean(true)] : []), octetString(value));
}

/** A common name has at most 64 characters; nothing depends on it but the link between issuer and subject. */
function distinguishedName(name: string): Buffer {
  return sequence(set(sequence(oid(OIDS.commonName), utf8String(name.slice(0, 64)))));
}

function generalName(name: string): Buffer {
  return isIP(name) === 0 ? tagged(0x82, Buffer.from(domainToASCII(name))) : tagged(0x87, addressBytes(name));
}

/** The 4 or 16 bytes of an address. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const middle = Array.from({ length: 8 - first.length - last.length }, () => '0');
  return Buffer.from([...first, ...middle, ...last].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/**
 * How certificates that an authority signs have to name it: byte by byte as it does itself, for Go compares bytes, and by the
 * identifier of its key that it gives, for OpenSSL compares that. An authority that others have made has its own of both.
 */
function namesOf({ raw, publicKey }: X509Certificate): { name: Buffer; keyId: Buffer } {
  const [content = raw] = partsOf(raw);
  // version, serial number, algorithm, issuer, validity, subject
  const [, , , , , name = raw, ...others] = partsOf(content);
  const extensions = others
    .filter((part) => part[0] === 0xa3)
    .flatMap(partsOf)
    .flatMap(partsOf);
  const id = oid(OIDS.subjectKeyIdentifier);
  const found = extensions.map(partsOf).find(([type]) => type?.equals(id));
  const value = found?.at(-1);
  return { name, keyId: value ? contentOf(contentOf(value)) : keyIdOf(publicKey) };
}

/** SHA-1 of the public key, as RFC 5280, section 4.2.1.2 proposes: it is there to find it, not to protect it. */
function keyIdOf(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' });
