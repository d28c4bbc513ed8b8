import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
  JSONSchemaProps,
} from 'kubernetes-types/apiextensions/v1.d.ts';
import * as z from 'zod';
import { GROUP, type Rule, VERSION } from './common.ts';
import type { Column, CustomResource } from './resources.ts';

/**
 * A structural schema, the form that a CRD must have: every field has exactly one type, written where the
 * field is, or is left to the writer altogether.
 * Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
export interface Structural {
  description?: string;
  type?: string;
  format?: string;
  default?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  maxItems?: number;
  minProperties?: number;
  maxProperties?: number;
  required?: string[];
  properties?: Record<string, Structural>;
  items?: Structural;
  additionalProperties?: Structural;
  'x-kubernetes-preserve-unknown-fields'?: true;
  'x-kubernetes-int-or-string'?: true;
  'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: Rule[];
}

/** What zod makes of a schema for the target openapi-3.0. */
interface JsonSchema extends Omit<Structural, 'properties' | 'items' | 'additionalProperties'> {
  anyOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  additionalProperties?: JsonSchema | false;
}

/** The keywords that pass as they are, in the order in which they are written. */
const CARRIED = [
  'description',
  'type',
  'format',
  'default',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const;
const CONVERTED = ['anyOf', 'properties', 'items', 'additionalProperties'];
const known = new Set<string>([...CARRIED, ...CONVERTED]);

/** The structural schema of a zod schema. */
export function structuralSchema(schema: z.ZodType): Structural {
  return structural(
    z.toJSONSchema(schema, { target: 'openapi-3.0', reused: 'inline', io: 'input' }) as JsonSchema,
  );
}

/** @throws {Error} on a keyword that would be lost: better no CRD than one that checks less than the schema. */
function structural(schema: JsonSchema): Structural {
  const lost = Object.keys(schema).filter((keyword) => !known.has(keyword));
  if (lost.length > 0) throw new Error(`no way to say ${lost.join(', ')} in a structural schema`);
  const carried = Object.fromEntries(CARRIED.filter((k) => isSaid(schema, k)).map((k) => [k, schema[k]]));
  return { ...carried, ...typeOf(schema) };
}

/**
 * zod writes a pattern beside every format, and the bounds of a safe integer on every integer without bounds:
 * the API server checks formats itself, and those bounds say nothing to a reader.
 */
function isSaid(schema: JsonSchema, keyword: (typeof CARRIED)[number]): boolean {
  const value = schema[keyword];
  if (keyword === 'pattern' && schema.format) return false;
  return value !== undefined && value !== Number.MAX_SAFE_INTEGER && value !== Number.MIN_SAFE_INTEGER;
}

function typeOf(schema: JsonSchema): Structural {
  if (schema.anyOf) return union(schema.anyOf);
  if (!schema.type) return { 'x-kubernetes-preserve-unknown-fields': true };
  if (schema.items) return { items: structural(schema.items) };
  if (schema.additionalProperties) return { additionalProperties: structural(schema.additionalProperties) };
  if (!schema.properties) return {};
  return {
    properties: Object.fromEntries(Object.entries(schema.properties).map(([k, v]) => [k, structural(v)])),
  };
}

/**
 * A union has no type in a structural schema, but for one: integer or string. Bounds on what a scalar is not (an
 * object, a list) keep those out all the same.
 */
function union(members: JsonSchema[]): Structural {
  const maxLength = members.find(({ type }) => type === 'string')?.maxLength;
  const bound = maxLength === undefined ? {} : { maxLength };
  const types = members.map(({ type }) => type);
  if (types.length === 2 && types.includes('integer') && types.includes('string')) {
    return { ...bound, 'x-kubernetes-int-or-string': true };
  }
  return { ...bound, maxItems: 0, maxProperties: 0, 'x-kubernetes-preserve-unknown-fields': true };
}

/** The CustomResourceDefinition of a custom resource. */
export function customResourceDefinition(resource: CustomResource): CustomResourceDefinition {
  const { kind, plural, shortName } = resource;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ['signalbox'],
      },
      versions: [version(resource)],
    },
  };
}

/** The schema of a whole object of a custom resource. */
export function objectSchema({ description, spec, status }: CustomResource): Structural {
  return {
    description,
    type: 'object',
    required: ['spec'],
    properties: {
      spec: structuralSchema(spec),
      status: structuralSchema(status),
    },
  };
}

function version(resource: CustomResource): CustomResourceDefinitionVersion {
  return {
    name: VERSION,
    served: true,
    storage: true,
    additionalPrinterColumns: resource.columns.map(printerColumn),
    subresources: { status: {} },
    schema: { openAPIV3Schema: objectSchema(resource) as JSONSchemaProps },
  };
}

function printerColumn({ wide, ...column }: Column) {
  return { ...column, ...(wide ? { priority: 1 } : {}) };
}
