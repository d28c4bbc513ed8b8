import * as z from 'zod';
import { checks, duration, expression, scalar } from './common.ts';
import { namesOf, projectName } from './terraform-step.ts';

const pattern = (what: string) =>
  z
    .string()
    .min(1)
    .max(256)
    .regex(/^[^-]/)
    .meta({ description: `Name of the ${what}.` });

/** A path below the folder of the project. */
export const relativePath = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_./+@ -]*$/);

const staysInside = (what: string) => ({
  rule: "!self.split('/').exists(part, part == '..')",
  message: `must stay inside the project: ${what} can not have .. in it`,
  culprit: 'self',
});

export const insideProject = (description: string, what: string) =>
  relativePath.meta({ description, ...checks(staysInside(what)) });

const inventory = z
  .strictObject({
    inline: z.string().min(1).max(16_384).optional().meta({
      description: 'The inventory itself, in INI or YAML as Ansible reads it. It is taken literally.',
    }),
    file: insideProject('A file or folder of the project.', 'the inventory').optional(),
    groups: expression(
      'Gives the hosts by group: a map from each group to the list of its hosts, or to a map from host to its variables, for example {"web": steps.apply.outputs.addresses}. Values are data, never templates.',
    ).optional(),
  })
  .meta({
    description: 'The hosts to work on. Default: the inventory of the Project.',
    ...checks({
      rule: '[has(self.inline), has(self.file), has(self.groups)].filter(x, x).size() == 1',
      message: 'exactly one of inline, file and groups must be set: it is where the hosts come from',
    }),
  });

/** Runs a playbook of a Project. */
export const ansibleStep = z
  .strictObject({
    project: projectName,
    playbook: insideProject('The playbook, as a path in the project, for example site.yml.', 'the playbook'),
    inventory: inventory.optional(),
    limit: z.string().min(1).max(1024).regex(/^[^-]/).optional().meta({
      description:
        'Hosts or groups to which the play is limited, as Ansible writes patterns. ${{ expression }} in it is replaced. Default: all of the inventory.',
    }),
    tags: z
      .array(pattern('tag'))
      .max(64)
      .optional()
      .meta({ description: 'Runs only what has one of these tags.' }),
    skipTags: z
      .array(pattern('tag'))
      .max(64)
      .optional()
      .meta({ description: 'Leaves out what has one of these tags.' }),
    extraVars: z.record(z.string().min(1).max(128), scalar).optional().meta({
      description:
        'Variables for the play, by name. ${{ expression }} in a text is replaced; a text that is one expression and nothing else takes the type of its value. Values are data: Ansible does not read templates in them.',
      maxProperties: 64,
    }),
    check: z.boolean().optional().meta({ description: 'Only tells what would change. Default false.' }),
    diff: z.boolean().optional().meta({ description: 'Shows in the log how files change. Default false.' }),
    forks: z
      .int()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'How many hosts are worked on at once. Default 5.' }),
    gracePeriod: duration(
      'How long Ansible may take to end when the step is stopped, before it is killed. Default 30s.',
    ).optional(),
  })
  .meta({
    description:
      "Runs a playbook of a Project with Ansible. What came of it is taken from Ansible's own statistics: the step fails when a host failed or was not reached.",
    ...checks(namesOf('extraVars', '^[A-Za-z_][A-Za-z0-9_]*$')),
  });
export type AnsibleStep = z.infer<typeof ansibleStep>;
