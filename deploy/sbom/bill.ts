import { createHash } from 'node:crypto';

// Bills of materials in the form of CycloneDX 1.6: https://cyclonedx.org/docs/1.6/json/

/** A part, with a package URL by which scanners look for what is known of it: https://github.com/package-url/purl-spec */
export interface Component {
  type: 'application' | 'container' | 'library';
  'bom-ref': string;
  group?: string;
  name: string;
  version: string;
  purl?: string;
  licenses?: [{ expression: string }];
  hashes?: { alg: 'SHA-512'; content: string }[];
  /** What is built into it. */
  components?: Component[];
}

export interface Bill {
  bomFormat: 'CycloneDX';
  specVersion: '1.6';
  /** Follows from the content, so that the same build gives the same bill. */
  serialNumber: string;
  version: 1;
  metadata: { component: Component };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

/** What a bill is about. */
export type Subject = Pick<Component, 'type' | 'name' | 'version'>;

/** The bill of something that consists of these parts. A part that is named twice is listed once. */
export function billOf({ type, name, version }: Subject, parts: readonly Component[]): Bill {
  const component: Component = { type, 'bom-ref': `${name}@${version}`, name, version };
  const byReference = new Map(parts.map((part) => [part['bom-ref'], part]));
  const components = [...byReference.values()].toSorted((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
  const dependencies = [{ ref: component['bom-ref'], dependsOn: components.map((part) => part['bom-ref']) }];
  const content = { metadata: { component }, components, dependencies };
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(content))}`,
    version: 1,
    ...content,
  };
}

/** A UUID of version 8, whose bits are ours to choose: RFC 9562, section 5.8. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** A part that no package manager knows. */
export function generic(
  name: string,
  version: string,
  type: 'application' | 'library' = 'library',
): Component {
  const purl = `pkg:generic/${encodeURIComponent(name)}@${encodeURIComponent(version)}`;
  return { type, 'bom-ref': purl, name, version, purl };
}
