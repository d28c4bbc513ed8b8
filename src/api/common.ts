import * as z from 'zod';

/** The API group, also the prefix of every label and annotation that Signalbox writes. */
export const GROUP = 'signalbox.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** A CEL validation rule as the API server evaluates it. */
export interface Rule {
  rule: string;
  message: string;
  messageExpression?: string;
  fieldPath?: string;
}

/** A check that the API server makes at `kubectl apply`. */
export interface Check {
  /** CEL that is true of what is accepted. */
  rule: string;
  /** What is wrong and how to mend it; the second half of a sentence when there is a culprit. */
  message: string;
  /** CEL that gives the text to blame. It is printed before the message: by itself the API server prints only a type. */
  culprit?: string;
  /** The field to blame, when it is not the one that has the check. */
  fieldPath?: string;
}

/** Attaches checks to a schema; the CRD carries them as x-kubernetes-validations. */
export const checks = (...list: Check[]) => ({ 'x-kubernetes-validations': list.map(toRule) });

function toRule({ culprit, ...rule }: Check): Rule {
  if (culprit === undefined) return rule;
  return { ...rule, messageExpression: `'"' + ${culprit} + ${JSON.stringify(`" ${rule.message}`)}` };
}

/** A list that the API server keeps unique by `name`, and merges by it under server-side apply. */
export const byName = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] };

/** The name of a step or a param: a DNS label, so that it can be part of a Job's name and of a label. */
export const name = (what: string) =>
  z
    .string()
    .max(63)
    .meta({
      description: `Name of the ${what}: lower-case letters, digits and '-', at most 63 characters.`,
      ...checks({
        rule: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        message:
          "must consist of lower-case letters, digits and '-', and start and end with a letter or digit",
        culprit: 'self',
      }),
    });

/** The name of another object in the same namespace. A pattern costs nothing where a CEL rule would cost too much. */
export const objectName = (what: string) =>
  z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/)
    .meta({ description: `Name of the ${what}, in the same namespace.` });

/** One key of a Secret. */
export const secretKey = z
  .strictObject({
    name: objectName('Secret'),
    key: z.string().min(1).max(253).meta({ description: 'Key in the Secret.' }),
  })
  .meta({ description: 'One key of a Secret in the namespace of the run.' });

/** The longest duration, a year: longer ones are typing errors, and some would overflow where they are used. */
const LONGEST = '8760h';

/**
 * A span of time in Go's notation, restricted to h, m, s and ms: `90s`, `1h30m`, `250ms`; at most a year.
 * {@link parseDuration} turns it into milliseconds.
 */
export const duration = (description: string, shortest: '0s' | '1s' = '1s') =>
  z
    .string()
    .max(16)
    .meta({
      description: `${description} A duration in h, m, s and ms such as 30s, 5m or 1h30m, from ${shortest} to ${LONGEST}.`,
      ...checks({
        rule: `self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('${shortest}') && duration(self) <= duration('${LONGEST}')`,
        message: `must be a duration in h, m, s and ms such as 30s, 5m or 1h30m, from ${shortest} to ${LONGEST}`,
        culprit: 'self',
      }),
    });

/** A CEL expression of at most 1 KiB. */
export const expression = (description: string) =>
  z
    .string()
    .min(1)
    .max(1024)
    .meta({ description: `${description} A CEL expression.` });

/** A string, number or boolean. */
export const scalar = z.union([z.string().max(4096), z.number(), z.boolean()]);
export type Scalar = z.infer<typeof scalar>;

/** RFC 3339, in UTC, to the millisecond. */
export const time = (description: string) => z.iso.datetime().meta({ description });

/** A condition as `metav1.Condition` defines it. */
const condition = z
  .strictObject({
    type: z.string().max(63).meta({ description: 'Type of the condition.' }),
    status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
    reason: z.string().max(128).meta({ description: 'Why, as one CamelCase word for machines.' }),
    message: z.string().max(4096).meta({ description: 'Why, as a sentence for people.' }),
    observedGeneration: z
      .int()
      .optional()
      .meta({ description: 'The metadata.generation that this was judged on.' }),
    lastTransitionTime: time('When the status last changed.'),
  })
  .meta({ description: 'One aspect of the state.' });
export type Condition = z.infer<typeof condition>;

export const conditions = z
  .array(condition)
  .max(8)
  .meta({
    description: 'Conditions, in the form that kubectl wait understands.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  });

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds of a duration such as `1h30m`.
 * @throws {RangeError} when the text is no duration; the API server's rule keeps such text out.
 */
export function parseDuration(text: string): number {
  if (!/^([0-9]+(ms|s|m|h))+$/.test(text)) {
    throw new RangeError(`"${text}" is not a duration such as 30s, 5m or 1h30m`);
  }
  return [...text.matchAll(/([0-9]+)(ms|s|m|h)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0),
    0,
  );
}
