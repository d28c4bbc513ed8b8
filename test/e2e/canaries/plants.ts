import { type Canary, canaryOf, type Finding } from '../../kit/canary.ts';

/** A secret in a Secret, by the key that it has there. */
export type Values = Readonly<Record<string, string>>;

interface PlantedSecret {
  /** What nobody may see anywhere else. */
  secret: Values;
  /** What may be seen. */
  open?: Values;
  /** The operator itself may read it. */
  use?: true;
  /** What is secret of a value that is not so as a whole. */
  partOf?: (value: string) => Buffer;
}

/** The canaries, and the keys of etcd at which each of them may be found. */
export class Plants {
  readonly canaries: Canary[] = [];
  private readonly homes = new Map<string, string[]>();

  /** @param homes keys in etcd; one that ends in * stands for all that begin like it */
  add(name: string, secret: string | Buffer, homes: readonly string[]): void {
    if (this.homes.has(name)) return;
    this.canaries.push(canaryOf(name, secret));
    this.homes.set(name, [...homes]);
  }

  /** A Secret to apply. */
  secret(namespace: string, name: string, { secret, open = {}, use, partOf }: PlantedSecret): object {
    for (const [key, value] of Object.entries(secret)) {
      this.add(`${name}/${key}`, partOf?.(value) ?? value, [secretKey(namespace, name)]);
    }
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace, ...(use ? { labels: { 'signalbox.dev/use': 'true' } } : {}) },
      stringData: { ...secret, ...open },
    };
  }

  /** Whether it is where it belongs. @param where a key of etcd, or another place */
  belongs({ canary }: Finding, where: string): boolean {
    const isThere = (home: string) =>
      home.endsWith('*') ? where.startsWith(home.slice(0, -1)) : where === home;
    return this.homes.get(canary)?.some(isThere) ?? false;
  }

  /** The canaries that live in etcd. */
  get settled(): string[] {
    return [...this.homes].flatMap(([name, homes]) => (homes.length > 0 ? [name] : []));
  }
}

/** Where etcd has a Secret. */
export const secretKey = (namespace: string, name: string) => `/registry/secrets/${namespace}/${name}`;
