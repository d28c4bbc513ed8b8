import { API_VERSION, type Rule } from './common.ts';
import { objectSchema, type Structural } from './crd.ts';
import type { CustomResource } from './resources.ts';

/** An object of the API, or all that are the same: it gets one section with a table of its fields. */
interface Section {
  /** Where the object stands, for example `Workflow.spec.steps[].script`. */
  paths: string[];
  schema: Structural;
}

/** The API reference of all kinds, as one page of Markdown. */
export function reference(resources: readonly CustomResource[]): string {
  const sections = sectionsOf(resources);
  return `${[
    '# API reference',
    '<!-- Generated from src/api by node src/api/generate.ts: change the schemas there. -->',
    `Every kind is of \`${API_VERSION}\` and lives in a namespace. \`kubectl explain\` shows the same text on the command line. What breaks a check below is refused at \`kubectl apply\` with the message given; \`…\` stands for the text to blame. Mistakes that the API server can not see, such as a cycle or a faulty expression, show in the condition \`Ready\` of the Workflow. [Both kinds, with their messages](api/mistakes.md).`,
    resources.map(({ kind }) => `- [${kind}](#${kind.toLowerCase()})`).join('\n'),
    ...resources.map((resource) => chapter(resource, sections)),
  ].join('\n\n')}\n`;
}

/** Objects with the same fields share a section, however many places they have. */
function sectionsOf(resources: readonly CustomResource[]): Section[] {
  const sections = new Map<string, Section>();
  const visit = (path: string, schema: Structural) => {
    const { properties } = schema;
    if (!properties) return;
    const key = JSON.stringify(properties);
    const known = sections.get(key);
    if (known) {
      known.paths.push(path);
      return;
    }
    sections.set(key, { paths: [path], schema });
    for (const [name, field] of Object.entries(properties)) {
      const { suffix, schema } = element(field);
      visit(`${path}.${name}${suffix}`, schema);
    }
  };
  for (const resource of resources) {
    for (const [name, part] of Object.entries(objectSchema(resource).properties ?? {})) {
      visit(`${resource.kind}.${name}`, part);
    }
  }
  return [...sections.values()];
}

/** What a list or a map is made of, and how the path of one element is written. */
function element(schema: Structural): { suffix: string; schema: Structural } {
  if (schema.items) return { suffix: '[]', schema: schema.items };
  if (schema.additionalProperties) return { suffix: '.*', schema: schema.additionalProperties };
  return { suffix: '', schema };
}

function chapter(resource: CustomResource, sections: Section[]): string {
  const own = sections.filter(({ paths }) => paths[0]?.startsWith(`${resource.kind}.`));
  return [
    `## ${resource.kind}`,
    `${resource.description} \`kubectl get ${resource.plural}\`, or \`${resource.shortName}\` for short, shows:`,
    table(
      ['Column', 'What it shows'],
      resource.columns.map(({ name, description, wide }) => [
        name.toUpperCase(),
        wide ? `${description} With \`-o wide\`.` : description,
      ]),
    ),
    `\`\`\`yaml\n${resource.example}\`\`\``,
    ...own.map((section) => sectionText(section, sections)),
  ].join('\n\n');
}

function sectionText({ paths: [path = '', ...others], schema }: Section, sections: Section[]): string {
  const fields = Object.entries(schema.properties ?? {});
  const required = new Set(schema.required);
  const rows = fields.map(([name, field]) => [
    `${code(name)}${required.has(name) ? ' (required)' : ''}`,
    typeText(field, sections),
    fieldText(field),
  ]);
  return [
    `### ${path}`,
    [
      escape(schema.description ?? ''),
      ...(others.length > 0 ? [`The same as ${others.map(code).join(', ')}.`] : []),
    ].join(' '),
    table(['Field', 'Type', 'Description'], rows),
    ...checksText(schema),
  ].join('\n\n');
}

function typeText(field: Structural, sections: Section[]): string {
  const inner = element(field);
  const name = elementText(inner.schema, sections);
  if (inner.suffix === '[]') return `list of ${name}`;
  return inner.suffix === '.*' ? `map of ${name}` : name;
}

function elementText(schema: Structural, sections: Section[]): string {
  if (schema['x-kubernetes-int-or-string']) return 'string or integer';
  if (schema.maxProperties === 0) return 'string, number or boolean';
  if (schema['x-kubernetes-preserve-unknown-fields']) return 'any';
  if (!schema.properties) return schema.format === 'date-time' ? 'time' : (schema.type ?? '');
  const key = JSON.stringify(schema.properties);
  const path = sections.find((section) => JSON.stringify(section.schema.properties) === key)?.paths[0] ?? '';
  return `[object](#${anchor(path)})`;
}

/** The anchor that forges give to a heading. */
const anchor = (heading: string) => heading.toLowerCase().replaceAll(/[^-_a-z0-9 ]/g, '');

/** The description of a single value says what is checked of it; checks between fields and names are said here. */
function fieldText(field: Structural): string {
  const rules = field.items || field.additionalProperties ? (field['x-kubernetes-validations'] ?? []) : [];
  return [
    escape(field.description ?? ''),
    field.enum && `${field.enum.length > 1 ? 'One of' : 'Only'} ${field.enum.map(code).join(', ')}.`,
    bounds(field),
    ...rules.map((rule) => `Check: ${checkText(rule)}.`),
  ]
    .filter(Boolean)
    .join(' ');
}

const code = (value: unknown) => `\`${String(value)}\``;
/** Keeps Markdown from taking params.<name> for HTML. */
const escape = (text: string) => text.replaceAll('<', '\\<');

function bounds(field: Structural): string {
  const { minimum, maximum, minItems, maxItems, maxProperties } = field;
  const maxLength = field.pattern || field['x-kubernetes-validations'] ? undefined : field.maxLength;
  const parts = [
    range(minimum, maximum, ''),
    range(minItems, maxItems, ' items'),
    range(undefined, maxLength, ' characters'),
    range(undefined, maxProperties, ' entries'),
  ].filter((text) => text !== '');
  return parts.length > 0 ? `${parts.join(', ')}.` : '';
}

function range(least: number | undefined, most: number | undefined, unit: string): string {
  if (most === 0) return '';
  if (least !== undefined && most !== undefined) return `From ${least} to ${most}${unit}`;
  if (most !== undefined) return `At most ${most}${unit}`;
  return least === undefined ? '' : `At least ${least}${unit}`;
}

function checksText({ 'x-kubernetes-validations': rules = [] }: Structural): string[] {
  if (rules.length === 0) return [];
  return [`Checks:\n\n${rules.map((rule) => `- ${checkText(rule)}`).join('\n')}`];
}

const checkText = ({ message, messageExpression }: Rule) =>
  escape(messageExpression ? `"…" ${message}` : message);

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
