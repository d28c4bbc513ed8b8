import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import * as z from 'zod';
import { createAddressRules } from './steps/addresses.ts';
import { SLACK_API_URL } from './steps/index.ts';

/** Several values, separated by commas. @param check throws for values that can not be used */
const list = (check: (values: string[]) => unknown) =>
  z
    .string()
    .default('')
    .transform((text, context) => {
      const values = text
        .split(',')
        .map((value) => value.trim())
        .filter((value) => value !== '');
      try {
        check(values);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
      }
      return values;
    });

const image = (name: string, description: string) => z.string().min(1).default(name).describe(description);

const limit = z.coerce.number().int().min(1).optional();

/** Everything that can be set from outside. A flag `--http-port` is also read from `SIGNALBOX_HTTP_PORT`. */
const schema = z.strictObject({
  namespace: z.string().optional().describe('The only namespace to watch. Default: all.'),
  'lease-namespace': z
    .string()
    .min(1)
    .default('default')
    .describe('Namespace of the Lease for which replicas compete.'),
  'lease-name': z.string().min(1).default('signalbox').describe('Name of that Lease.'),
  identity: z
    .string()
    .min(1)
    .default(() => `${hostname()}_${randomUUID()}`)
    .describe('Name of this replica in the Lease. Whoever comes with the same name takes over at once.'),
  'script-image': image('signalbox-script', 'Image of script steps that name none.'),
  'opentofu-image': image(
    'signalbox-opentofu',
    'Image of Terraform steps whose Project says engine: opentofu.',
  ),
  'terraform-image': image(
    'signalbox-terraform',
    'Image of Terraform steps whose Project says engine: terraform.',
  ),
  'ansible-image': image('signalbox-ansible', 'Image of Ansible steps whose Project names none.'),
  'http-allow': list((allow) => createAddressRules({ allow, deny: [] })).describe(
    'Addresses, CIDRs and host names, separated by commas, that calls of steps may connect to in any case.',
  ),
  'http-deny': list((deny) => createAddressRules({ allow: [], deny })).describe(
    'Further addresses and CIDRs that calls of steps may not connect to, for example those of the cluster.',
  ),
  'slack-api-url': z.url().default(SLACK_API_URL).describe("Base of the address of Slack's Web API."),
  'max-active-runs': limit.describe('How many runs may be active at once; others wait. Default: no limit.'),
  'max-active-runs-per-namespace': limit.describe(
    'How many runs of a namespace may be active at once; others wait. Default: no limit.',
  ),
  'log-level': z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('info')
    .describe('Least severe message to log.'),
  'http-port': z.coerce
    .number()
    .int()
    .min(0)
    .max(65535)
    .default(8080)
    .describe('Port of metrics and health.'),
});
export type Config = z.infer<typeof schema>;

/** The settings cannot be used; the message names each flag and what is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const options = Object.fromEntries(
  Object.keys(schema.shape).map((flag) => [flag, { type: 'string' as const }]),
);

/** @throws {ConfigError} for an unknown flag or a value out of bounds */
export function readConfig(args: readonly string[], env: Record<string, string | undefined>): Config {
  const parsed = schema.safeParse({ ...fromEnvironment(env), ...fromFlags(args) });
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    parsed.error.issues.map((issue) => `--${issue.path.join('.')}: ${issue.message}`).join('; '),
  );
}

function fromFlags(args: readonly string[]): Record<string, unknown> {
  try {
    return { ...parseArgs({ args: [...args], options, allowPositionals: false }).values };
  } catch (error) {
    const flags = Object.entries(schema.shape).map(([flag, field]) => `  --${flag}  ${field.description}`);
    throw new ConfigError(`${(error as Error).message}\nThe flags are:\n${flags.join('\n')}`);
  }
}

function fromEnvironment(env: Record<string, string | undefined>): Record<string, string> {
  const named = Object.keys(schema.shape).map((flag) => [
    flag,
    env[`SIGNALBOX_${flag.replaceAll('-', '_').toUpperCase()}`],
  ]);
  // A container that was restarted in its Pod is sure that its predecessor has ended.
  const pod = env.POD_NAME ? [['identity', env.POD_NAME]] : [];
  return Object.fromEntries([...pod, ...named].filter(([, value]) => value !== undefined && value !== ''));
}
