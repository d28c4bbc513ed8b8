import { BlockList, isIP } from 'node:net';

/** Which addresses steps may connect to, beyond those that are refused to all. */
export interface AddressPolicy {
  /** Addresses, CIDRs such as `10.96.0.0/12` and host names that are never refused. They go before everything else. */
  allow: readonly string[];
  /** Further addresses and CIDRs that are refused, for example those of the cluster's pods and services. */
  deny: readonly string[];
}

/** Says what a step may not connect to. */
export interface AddressRules {
  /**
   * What kind of address it is that is refused, for example `a loopback address`; undefined when it is not.
   *
   * @param host the name that the address was found by, in lower case, or the address itself
   * @param address an IPv4 or IPv6 address without brackets
   */
  refusal(host: string, address: string): string | undefined;
}

/** What nobody may connect to unless it is allowed: the operator's own pod, its node, and what gives out credentials. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'a metadata address of a cloud': [
    '169.254.169.254',
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    'fd00:42::42',
    'fd00:c1::a9fe:a9fe',
  ],
  'a loopback address': ['127.0.0.0/8', '::1'],
  'an unspecified address': ['0.0.0.0/8', '::'],
  'a link-local address': ['169.254.0.0/16', 'fe80::/10'],
  'a multicast address': ['224.0.0.0/4', 'ff00::/8'],
  'a broadcast or reserved address': ['240.0.0.0/4'],
  'an address of a tunnel': ['2001::/32', '64:ff9b:1::/48'],
};

/**
 * Prefixes of IPv6 addresses that stand for an IPv4 address, as groups, and the group in which that begins: mapped,
 * compatible, translated, NAT64 and 6to4 (RFC 4291, 2765, 6052, 3056).
 */
const EMBEDDINGS: readonly { prefix: readonly number[]; at: number }[] = [
  { prefix: [0, 0, 0, 0, 0, 0xffff], at: 6 },
  { prefix: [0, 0, 0, 0, 0, 0], at: 6 },
  { prefix: [0, 0, 0, 0, 0xffff, 0], at: 6 },
  { prefix: [0x64, 0xff9b, 0, 0, 0, 0], at: 6 },
  { prefix: [0x2002], at: 1 },
];

/** @throws {RangeError} for an entry that is none of what the policy may name */
export function createAddressRules({ allow, deny }: AddressPolicy): AddressRules {
  const names = new Set(allow.filter((entry) => !isNetwork(entry)).map(hostName));
  const allowed = networksOf(allow.filter(isNetwork));
  const kinds = { ...REFUSED, 'an address that the administrator denies': deny };
  const refused = Object.entries(kinds).map(([kind, entries]) => ({ kind, list: networksOf(entries) }));
  return {
    refusal(host, address) {
      const forms = formsOf(address);
      const target = forms.at(-1);
      if (target === undefined) return 'no address that could be checked';
      if (names.has(withoutDot(host)) || isIn(allowed, target)) return undefined;
      return refused.find(({ list }) => forms.some((form) => isIn(list, form)))?.kind;
    },
  };
}

const isNetwork = (entry: string) => entry.includes('/') || isIP(entry) > 0;
const withoutDot = (host: string) => host.replace(/\.$/, '');

type Family = 'ipv4' | 'ipv6';
/** One list a family: a list alone takes `::/0` for all IPv4 addresses too. */
type Networks = Readonly<Record<Family, BlockList>>;

const familyOf = (address: string): Family => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
const isIn = (list: Networks, address: string) => list[familyOf(address)].check(address, familyOf(address));

function networksOf(entries: readonly string[]): Networks {
  const list = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const entry of entries) add(list, entry);
  return list;
}

function add(list: Networks, entry: string): void {
  const [, address = '', bits] = /^([0-9a-fA-F.:]+)(?:\/([0-9]{1,3}))?$/.exec(entry) ?? [];
  const family = familyOf(address);
  const length = family === 'ipv6' ? 128 : 32;
  if (isIP(address) === 0 || Number(bits ?? length) > length) {
    throw new RangeError(`"${entry}" is neither an address nor a CIDR such as 10.96.0.0/12`);
  }
  list[family].addSubnet(address, Number(bits ?? length), family);
}

/** A host name as URLs have it: in lower case, and in ASCII. */
function hostName(entry: string): string {
  const url = /^[^\s/:@?#[\]\\*]+$/.test(entry) ? URL.parse(`http://${entry}`) : null;
  if (url && isIP(url.hostname) === 0) return withoutDot(url.hostname);
  throw new RangeError(`"${entry}" is neither an address, a CIDR such as 10.96.0.0/12, nor a host name`);
}

/** The address and, if it stands for an IPv4 address, that one behind it; nothing for what is no address. */
function formsOf(address: string): string[] {
  const [bare = ''] = address.split('%');
  if (isIP(bare) < 6) return isIP(bare) === 0 ? [] : [bare];
  const groups = groupsOf(bare);
  const embedding = EMBEDDINGS.find(({ prefix }) => prefix.every((group, i) => groups[i] === group));
  if (!embedding || isOwnKind(groups)) return [bare];
  const [high = 0, low = 0] = groups.slice(embedding.at);
  return [bare, [high >> 8, high & 255, low >> 8, low & 255].join('.')];
}

/** Whether it is `::` or `::1`, which look like 0.0.0.0 and 0.0.0.1 and are not. */
const isOwnKind = (groups: readonly number[]) =>
  groups.every((group, i) => group === 0 || (i === 7 && group === 1));

/** The eight groups of an IPv6 address. URLs write it without dots, and with `::` for the longest run of zeros. */
function groupsOf(address: string): number[] {
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = [], tail = []] = text.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
}
