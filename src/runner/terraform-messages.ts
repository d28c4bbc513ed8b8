import * as z from 'zod';

const diagnostic = z.object({
  severity: z.string(),
  summary: z.string(),
  detail: z.string().default(''),
  address: z.string().optional(),
  range: z.object({ filename: z.string(), start: z.object({ line: z.int() }) }).optional(),
  snippet: z.object({ context: z.string().nullish(), code: z.string() }).optional(),
});
export type Diagnostic = z.infer<typeof diagnostic>;

const hook = z.object({
  resource: z.object({ addr: z.string() }).optional(),
  action: z.string().optional(),
  provisioner: z.string().optional(),
  output: z.string().optional(),
});

const changes = z.object({
  add: z.int(),
  change: z.int(),
  remove: z.int(),
  import: z.int().default(0),
  operation: z.string(),
});

/** Of `apply`, all outputs; a sensitive one has no value. */
const outputs = z.record(z.string(), z.object({ sensitive: z.boolean(), value: z.unknown().optional() }));
export type Outputs = z.infer<typeof outputs>;

/**
 * The part of a line of `-json` that we read: https://developer.hashicorp.com/terraform/internals/machine-readable-ui,
 * which is the same in OpenTofu.
 */
const message = z.object({
  '@message': z.string(),
  type: z.string().default('log'),
  hook: hook.optional().catch(undefined),
  diagnostic: diagnostic.optional().catch(undefined),
  changes: changes.optional().catch(undefined),
  outputs: outputs.optional().catch(undefined),
});
export type Message = z.infer<typeof message>;

/** Reads a line; what is not a message, such as the last words of a crash, is one without a type. */
export function parseMessage(line: string): Message {
  try {
    return message.parse(JSON.parse(line));
  } catch {
    return { '@message': line, type: 'log' };
  }
}

/** A diagnostic as people know it. */
export function renderDiagnostic({
  severity,
  summary,
  detail,
  address,
  range,
  snippet,
}: Diagnostic): string[] {
  const within = address === undefined ? '' : `  with ${address},`;
  const place = range === undefined ? '' : `  on ${range.filename} line ${range.start.line}`;
  const context = typeof snippet?.context === 'string' ? `, in ${snippet.context}:` : ':';
  const code = snippet === undefined || range === undefined ? [] : codeLines(snippet.code, range.start.line);
  return [
    '',
    `${severity === 'warning' ? 'Warning' : 'Error'}: ${summary}`,
    '',
    ...(within === '' ? [] : [within]),
    ...(place === '' ? [] : [`${place}${context}`, ...code, '']),
    ...(detail === '' ? [] : [...detail.split('\n'), '']),
  ];
}

const codeLines = (code: string, first: number) =>
  code.split('\n').map((line, index) => `  ${String(first + index).padStart(4)}: ${line}`);
