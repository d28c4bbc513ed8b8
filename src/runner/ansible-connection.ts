import { isIP } from 'node:net';

/** Ansible takes more as the name of a host: ranges, patterns, ports; and ssh takes options. */
const HOST = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/;

/** Whether it is a host name or address and nothing else. The zone of an address means nothing on another machine. */
export const isHost = (name: string) => HOST.test(name) || (isIP(name) !== 0 && !name.includes('%'));

const text = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);

/**
 * Variables that become arguments of ssh or the beginning of a command, and what they can be when their value may come
 * from outside.
 */
export const CONNECTION_VARIABLES: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  ['ansible_host', (value) => typeof value === 'string' && isHost(value)],
  ['ansible_port', (value) => /^[0-9]{1,5}$/.test(String(value))],
  ['ansible_user', text(/^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$/)],
  ['ansible_python_interpreter', text(/^(\/[A-Za-z0-9_./+-]+|auto|auto_silent)$/)],
]);
