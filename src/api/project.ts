import * as z from 'zod';
import { insideProject } from './ansible-step.ts';
import { checks, conditions, duration, objectName, secretKey, time } from './common.ts';
import { namesOf, TERRAFORM_NAME, terraformVars, workspaceName } from './terraform-step.ts';

const imageReference = (description: string) =>
  z
    .string()
    .max(512)
    .regex(/^[^ ]+$/)
    .optional()
    .meta({ description });

const secret = (what: string, description: string) =>
  z.strictObject({ name: objectName(what) }).meta({ description });

const git = z
  .strictObject({
    url: z
      .string()
      .max(1024)
      .meta({
        description:
          'Address of the repository: https://host/path, ssh://user@host/path or user@host:path. Credentials go into credentials.',
        ...checks(
          {
            rule: "self.matches('^(https?://[^ ]+|ssh://[^- ][^ ]*|[A-Za-z0-9_.][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^- ][^ ]*)$')",
            message:
              'must be an address such as https://example.com/team/repository.git or git@example.com:team/repository.git',
            culprit: 'self',
          },
          {
            rule: "!self.matches('^https?://[^/]*@')",
            message:
              'the address has a user or password in it, which everybody could read: put them into a Secret and name that in credentials',
          },
        ),
      }),
    ref: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .meta({
        description:
          'Branch, tag or commit. A run uses the commit that it stands for when its first step starts, to the end. Default: the default branch.',
        ...checks({
          rule: "self.matches('^[A-Za-z0-9_][A-Za-z0-9_./+@-]*$') && !self.contains('..')",
          message: "must be the name of a branch or tag, or the hash of a commit, and not start with '-'",
          culprit: 'self',
        }),
      }),
    path: insideProject('Folder of the repository to work in. Default: its top.', 'the path').optional(),
    credentials: secret(
      'Secret',
      'A Secret with username and password (a token is a password; the username may be left out), or with ssh-privatekey and known_hosts. It is read by the kubelet alone.',
    ).optional(),
    submodules: z.boolean().optional().meta({
      description: 'Fetches submodules too, with the same credentials. Default false.',
    }),
  })
  .meta({ description: 'Where the code lives.' });

const mirror = z
  .strictObject({
    path: z
      .string()
      .max(512)
      .regex(/^\/[^ ]*$/)
      .optional()
      .meta({ description: 'A folder in the image.' }),
    url: z
      .string()
      .max(1024)
      .regex(/^https:\/\/[^ ]+\/$/)
      .optional()
      .meta({ description: 'Address of a network mirror; it ends with /.' }),
    claim: objectName('PersistentVolumeClaim').optional(),
  })
  .meta({
    description: 'Where providers are taken from instead of their registries.',
    ...checks({
      rule: '[has(self.path), has(self.url), has(self.claim)].filter(x, x).size() == 1',
      message: 'exactly one of path, url and claim must be set: it is where the providers lie',
    }),
  });

const terraform = z
  .strictObject({
    engine: z.enum(['opentofu', 'terraform']).optional().meta({
      description: 'The program. Default opentofu.',
    }),
    version: z
      .string()
      .max(32)
      .regex(/^[0-9]+(\.[0-9]+){0,2}$/)
      .optional()
      .meta({
        description:
          'Version that the program in the image must have, as far as it is given: 1.12 takes 1.12.6. Default: any.',
      }),
    image: imageReference(
      'Image with the program and the runner. Default: that of the operator for the engine.',
    ),
    workspace: workspaceName.meta({ description: 'Workspace of the state. Default: default.' }),
    vars: terraformVars.meta({ description: 'Values of input variables, by name.' }),
    varsFrom: z
      .record(
        z
          .string()
          .min(1)
          .max(128)
          .regex(/^[A-Za-z_][A-Za-z0-9_-]*$/),
        secretKey,
      )
      .optional()
      .meta({
        description:
          'Input variables whose values come from Secrets, by name. The kubelet reads them, and they are masked in the log.',
        maxProperties: 64,
      }),
    varFiles: z
      .array(insideProject('A file with values, as a path in the project.', 'the file'))
      .max(16)
      .optional()
      .meta({
        description: 'Files of the project with values of input variables, the last one counting most.',
      }),
    state: z.enum(['managed', 'external']).optional().meta({
      description:
        'Who keeps the state. managed: the operator keeps it, encrypted and with its versions. external: the backend is the one in the code. Default managed.',
    }),
    stateVersions: z.int().min(1).max(1000).optional().meta({
      description: 'How many versions of a managed state are kept. Default 20.',
    }),
    lockTimeout: duration('How long a step waits for the lock of the state. Default 5m.', '0s').optional(),
    providerMirror: mirror.optional(),
    pluginCache: z
      .strictObject({ claim: objectName('PersistentVolumeClaim') })
      .optional()
      .meta({ description: 'A volume on which downloaded providers are kept for the next step.' }),
  })
  .meta({ description: 'How Terraform or OpenTofu runs.', ...checks(namesOf('vars', TERRAFORM_NAME)) });

const ansible = z
  .strictObject({
    image: imageReference('Image with Ansible and the runner. Default: that of the operator.'),
    inventory: insideProject('Inventory, as a path in the project.', 'the inventory').optional(),
    user: z
      .string()
      .min(1)
      .max(64)
      .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/)
      .optional()
      .meta({
        description: 'User to log in as on the hosts. Default: as the inventory says.',
      }),
    credentials: secret(
      'Secret',
      'A Secret with ssh-privatekey, and known_hosts with the keys of the hosts: those of unknown ones are refused.',
    ).optional(),
    vault: z
      .strictObject(secretKey.shape)
      .optional()
      .meta({ description: 'One key of a Secret: the password of Ansible Vault.' }),
    requirements: insideProject(
      'File that names the collections and roles to install before, as a path in the project.',
      'the file',
    ).optional(),
    galaxyServer: z
      .string()
      .max(1024)
      .regex(/^https?:\/\/[^ ]+$/)
      .optional()
      .meta({
        description: 'Address of the Galaxy server that they come from. Default: the public one.',
      }),
  })
  .meta({ description: 'How Ansible runs.' });

const variableName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/);
const notOurs = checks({
  rule: "self.all(k, !k.startsWith('SIGNALBOX_'))",
  message: 'names that start with SIGNALBOX_ are taken: choose another one',
});

const caBundle = z
  .strictObject({
    secret: secretKey.optional(),
    configMap: z
      .strictObject({ name: objectName('ConfigMap'), key: secretKey.shape.key })
      .optional()
      .meta({ description: 'One key of a ConfigMap.' }),
  })
  .meta({
    description: 'Certificates of further CAs to trust, in PEM, for git and for all that the steps call.',
    ...checks({
      rule: 'has(self.secret) != has(self.configMap)',
      message: 'exactly one of secret and configMap must be set: it holds the certificates',
    }),
  });

/** What a Project says. */
export const projectSpec = z
  .strictObject({
    description: z.string().max(1024).optional().meta({ description: 'What the project is.' }),
    git,
    terraform: terraform.optional(),
    ansible: ansible.optional(),
    serviceAccountName: objectName('service account that the steps run as').optional().meta({
      description:
        'Service account that the steps run as, for the identity that a cloud gives it; its API token is mounted. Default: the default account of the namespace, without a token.',
    }),
    env: z
      .record(variableName, z.string().max(4096))
      .optional()
      .meta({
        description: 'Environment variables of the steps, taken literally.',
        maxProperties: 64,
        ...notOurs,
      }),
    secrets: z
      .record(variableName, secretKey)
      .optional()
      .meta({
        description:
          'Environment variables whose values come from Secrets. The kubelet reads them, and they are masked in the log.',
        maxProperties: 64,
        ...notOurs,
      }),
    caBundle: caBundle.optional(),
  })
  .meta({ description: 'Where code for Terraform or Ansible lives and how it is run.' });
export type ProjectSpec = z.infer<typeof projectSpec>;

const stateLock = z
  .strictObject({
    id: z.string().max(64).meta({ description: 'ID of the lock, by which it is broken.' }),
    operation: z
      .string()
      .max(64)
      .meta({ description: 'What it was taken for, for example OperationTypeApply.' }),
    pod: z.string().max(253).meta({ description: 'The pod that holds it.' }),
    run: z.string().max(253).meta({ description: 'The run of that pod.' }),
    step: z.string().max(136).meta({ description: 'The step of that run.' }),
    since: time('When it was taken.'),
    orphaned: z.boolean().optional().meta({
      description: 'The pod is gone: nobody will release the lock but a person.',
    }),
  })
  .meta({ description: 'Who holds the lock of the state.' });

const state = z
  .strictObject({
    workspace: z.string().max(90).meta({ description: 'The workspace.' }),
    serial: z.int().optional().meta({ description: 'Serial of the current version.' }),
    lineage: z.string().max(64).optional().meta({ description: 'Lineage of the state.' }),
    versions: z.int().optional().meta({ description: 'How many versions are kept.' }),
    updatedAt: time('When the current version was written.').optional(),
    lock: stateLock.optional(),
  })
  .meta({ description: 'The managed state of one workspace.' });
export type ProjectState = z.infer<typeof state>;

/** What Signalbox reports about a Project. */
export const projectStatus = z
  .strictObject({
    observedGeneration: z.int().optional().meta({
      description: 'The metadata.generation that this status was judged on.',
    }),
    conditions: conditions.optional(),
    commit: z.string().max(64).optional().meta({ description: 'The commit that the ref stood for last.' }),
    checkedAt: time('When the repository was reached last, or not.').optional(),
    states: z
      .array(state)
      .max(100)
      .optional()
      .meta({ description: 'The managed states, by workspace.', 'x-kubernetes-list-type': 'atomic' }),
  })
  .meta({ description: 'What Signalbox reports about the project.' });
export type ProjectStatus = z.infer<typeof projectStatus>;
