import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { checks } from './common.ts';
import { reference } from './reference.ts';
import { resources } from './resources.ts';

const lamp = z.strictObject({ color: z.string().max(8).meta({ description: 'Color of <lamp>.' }) }).meta({
  description: 'A lamp.',
  ...checks({ rule: "self.color != 'mauve'", message: 'is out of stock', culprit: 'self.color' }),
});
const page = reference([
  {
    kind: 'Panel',
    plural: 'panels',
    shortName: 'pn',
    description: 'A Panel has lamps.',
    example: 'kind: Panel\n',
    spec: z.strictObject({ lamps: z.array(lamp).min(1).max(4).meta({ description: 'Its lamps.' }) }),
    status: z.strictObject({ lit: lamp.optional().meta({ description: 'The lamp that is lit.' }) }),
    columns: [],
  },
]);

test('a field has its type, its bounds and whether it is required', () => {
  assert.match(
    page,
    /^\| `lamps` \(required\) \| list of \[object\]\(#panelspeclamps\) \| Its lamps\. From 1 to 4 items\. \|$/m,
  );
  assert.match(page, /^\| `color` \(required\) \| string \| Color of \\<lamp>\. At most 8 characters\. \|$/m);
});

test('objects that are the same share a section', () => {
  assert.deepEqual(page.match(/^###? .*$/gm), [
    '## Panel',
    '### Panel.spec',
    '### Panel.spec.lamps[]',
    '### Panel.status',
  ]);
  assert.match(page, /^A lamp\. The same as `Panel\.status\.lit`\.$/m);
  assert.match(page, /^\| `lit` \| \[object\]\(#panelspeclamps\) \|/m);
});

test('a check is printed with its message', () => {
  assert.match(page, /^- "…" is out of stock$/m);
});

test('every link of the real reference leads to a heading', () => {
  const text = reference(resources);
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading.toLowerCase().replaceAll(/[^a-z]/g, ''),
  );
  const links = [...text.matchAll(/\]\(#([^)]*)\)/g)].map(([, link]) => link);
  assert.ok(links.length > 20);
  assert.deepEqual(
    links.filter((link) => !headings.includes(link ?? '')),
    [],
  );
});
