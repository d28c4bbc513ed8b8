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

const port = (number: number) => z.coerce.number().int().min(0).max(65535).default(number);

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
  'http-port': port(8080).describe('Port of metrics and health.'),
  'keys-dir': z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder of keys to encrypt with: files of 32 bytes, raw or in base64. Without one there is no runner API.',
    ),
  'write-key': z
    .string()
    .min(1)
    .optional()
    .describe('Name of the key to write with; the others are for reading. Default: the last one by name.'),
  'teams-file': z
    .string()
    .min(1)
    .optional()
    .describe(
      'File of JSON that says who is in which team: {"platform": {"users": ["jane"], "groups": ["sre"]}}. A team that is not in it is the group of its name.',
    ),
  'artifact-namespace': z
    .string()
    .min(1)
    .optional()
    .describe('Namespace that plans and states are kept in. Default: that of the Lease.'),
  'runner-api-port': port(8443).describe(
    'Port of the API that the pods of Terraform and Ansible steps call.',
  ),
  'runner-api-names': list(() => {}).describe(
    'Names and addresses, separated by commas, under which it is called; pods use the first. Default: localhost.',
  ),
  'runner-api-secret': z
    .string()
    .min(1)
    .default('signalbox-runner-api-tls')
    .describe('Secret in the artifact namespace in which the operator keeps its certificate.'),
  'serving-certificate-dir': z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder with tls.crt, tls.key and ca.crt to serve with, which somebody else renews. Default: the operator makes them.',
    ),
  'serving-authority-dir': z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder with tls.crt and tls.key of the authority to sign the certificate with. Default: the operator makes one.',
    ),
  'admission-port': z.coerce
    .number()
    .int()
    .min(0)
    .max(65535)
    .optional()
    .describe(
      'Port of the webhooks that the API server calls. Default: there are none. They need --keys-dir.',
    ),
  'admission-names': list(() => {}).describe(
    'Names and addresses, separated by commas, under which they are called. Default: localhost.',
  ),
  'admission-configuration': z
    .string()
    .min(1)
    .optional()
    .describe(
      'Name of the two webhook configurations in which the operator keeps whom to trust. Default: somebody else does.',
    ),
  'admission-client-ca-file': z
    .string()
    .min(1)
    .optional()
    .describe(
      'Authorities in PEM of the certificate that the API server shows to webhooks. Default: it needs to show none.',
    ),
  'storage-s3-endpoint': z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('Address of S3-compatible storage for plans and states. Default: they are kept in Secrets.'),
  'storage-s3-bucket': z.string().min(1).default('signalbox').describe('The bucket; it must be there.'),
  'storage-s3-region': z
    .string()
    .min(1)
    .default('us-east-1')
    .describe('The region that requests are signed for.'),
  'storage-s3-prefix': z
    .string()
    .regex(/^[-/\w.]*$/)
    .default('')
    .describe('Beginning of the keys of all objects.'),
  'storage-s3-credentials-dir': z
    .string()
    .min(1)
    .default('/signalbox/s3')
    .describe('Folder with the files access-key-id, secret-access-key and, if need be, session-token.'),
  'storage-s3-ca-file': z
    .string()
    .min(1)
    .optional()
    .describe('Certificates in PEM to trust instead of those of the system.'),
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
