import * as z from 'zod';
import { ansibleStep } from './ansible-step.ts';
import { projectSpec } from './project.ts';
import { TERRAFORM_ACTIONS } from './terraform-step.ts';

// What the operator and the runner in a step's pod say to each other. Neither side trusts the other's word without it.

/** Audience of the token by which a pod shows the runner API who it is. */
export const RUNNER_AUDIENCE = 'signalbox.dev/runner';

/** Where the runner finds what it is given; files of Secrets are mounted by the kubelet. */
export const RUNNER_PATHS = {
  /** The token for the runner API; it is replaced while the pod runs, so it is read for each request. */
  token: '/signalbox/api/token',
  /** The Secret of `git.credentials`, a file for each key. */
  git: '/signalbox/git',
  /** The certificates of `caBundle`, in PEM. */
  ca: '/signalbox/ca/ca.crt',
  /** The Secret of `ansible.credentials`, a file for each key. */
  ssh: '/signalbox/ssh',
  /** The password of Ansible Vault. */
  vault: '/signalbox/vault/password',
  /** Providers on a volume. */
  mirror: '/signalbox/mirror',
  /** Providers that are kept for the next step. */
  pluginCache: '/signalbox/plugins',
} as const;

/** Environment variables of the runner, beside those of the Project. */
export const RUNNER_ENV = {
  /** A {@link RunnerTask} as JSON. */
  task: 'SIGNALBOX_TASK',
  /** Base address of the runner API, https. */
  apiUrl: 'SIGNALBOX_API_URL',
  /** The CA of the runner API, in PEM. */
  apiCa: 'SIGNALBOX_API_CA',
  /** What the operator lets this pod do, signed; it is worth nothing without the token of the pod. */
  grant: 'SIGNALBOX_GRANT',
  /** The file for the {@link RunnerReport}, which is the termination message. */
  report: 'SIGNALBOX_OUTPUT',
} as const;

/** Header that carries the grant. */
export const GRANT_HEADER = 'signalbox-grant';
/** Header with the SHA-256 of what is sent, as `sha256:<hex>`. */
export const DIGEST_HEADER = 'signalbox-digest';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const commit = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/);

const terraformTask = z.strictObject({
  action: z.enum(TERRAFORM_ACTIONS),
  engine: z.enum(['opentofu', 'terraform']),
  /** As far as it is given. */
  version: z.string().optional(),
  workspace: z.string(),
  state: z.enum(['managed', 'external']),
  /** Any JSON values, by name. */
  vars: z.record(z.string(), z.unknown()),
  varFiles: z.array(z.string()),
  targets: z.array(z.string()),
  /** Of a plan: that of a destruction. */
  destroy: z.boolean(),
  /** In Terraform's notation, for example `5m0s`. */
  lockTimeout: z.string(),
  /** `filesystem` is a folder. */
  mirror: z.strictObject({ filesystem: z.string().optional(), network: z.string().optional() }).optional(),
  pluginCache: z.boolean(),
  /** The plan to carry out, and what it must have. Absent for `plan`, and for `apply` with autoApprove. */
  plan: z.strictObject({ row: z.string(), digest, commit }).optional(),
  /** Hash of all that the Project and the step say: that of a plan and that of its apply must be the same. */
  projectHash: z.string(),
});

const ansibleTask = z.strictObject({
  playbook: z.string(),
  /** Exactly one of the three, or none where the Project has none either. `groups` as `ansibleStep` describes it. */
  inventory: z
    .strictObject({ inline: z.string(), file: z.string(), groups: z.unknown() })
    .partial()
    .optional(),
  user: z.string().optional(),
  limit: z.string().optional(),
  tags: z.array(z.string()),
  skipTags: z.array(z.string()),
  extraVars: ansibleStep.shape.extraVars.unwrap(),
  check: z.boolean(),
  diff: z.boolean(),
  forks: z.int(),
  /** Whether the files of `RUNNER_PATHS` are there. */
  ssh: z.boolean(),
  vault: z.boolean(),
  requirements: z.string().optional(),
  galaxyServer: z.string().optional(),
});

/** What a runner is to do. It holds no secret. Without `terraform` and `ansible` it finds the commit of the source. */
export const runnerTask = z.strictObject({
  source: z.strictObject({
    url: projectSpec.shape.git.shape.url,
    /** Absent: the default branch. */
    ref: projectSpec.shape.git.shape.ref,
    path: z.string().optional(),
    submodules: z.boolean(),
    /** Whether the files of `RUNNER_PATHS` are there. */
    credentials: z.boolean(),
  }),
  ca: z.boolean(),
  /** Names of environment variables whose values must not be seen in the log. */
  masked: z.array(z.string()),
  terraform: terraformTask.optional(),
  ansible: ansibleTask.optional(),
});
export type RunnerTask = z.infer<typeof runnerTask>;
export type TerraformTask = z.infer<typeof terraformTask>;
export type AnsibleTask = z.infer<typeof ansibleTask>;

const count = (description: string) => z.int().min(0).meta({ description });

const change = z
  .strictObject({
    address: z.string().max(256).meta({ description: 'Address of the resource.' }),
    action: z
      .enum(['create', 'update', 'delete', 'replace', 'import', 'read', 'forget', 'move'])
      .meta({ description: 'What is done to it.' }),
  })
  .meta({ description: 'A change of one resource.' });

/** What a Terraform step worked out or changed. */
export const terraformDetails = z
  .strictObject({
    commit: z.string().max(64).optional().meta({ description: 'The commit whose code ran.' }),
    digest: z
      .string()
      .max(71)
      .optional()
      .meta({ description: 'Of a plan: digest of what was kept for apply.' }),
    autoApproved: z.boolean().optional().meta({
      description: 'The step planned and applied at once, as autoApprove asks for.',
    }),
    add: count('Resources to add, or added.'),
    change: count('Resources to change, or changed.'),
    destroy: count('Resources to destroy, or destroyed.'),
    import: count('Resources to import, or imported.'),
    replace: count(
      'Resources that are destroyed and made anew; they count as one added and one destroyed as well.',
    ),
    outputs: count('Outputs that change, or changed.'),
    drifted: z.boolean().optional().meta({
      description: 'Of a plan: whether what is there differs from the code, so that the plan has changes.',
    }),
    changes: z.array(change).max(20).optional().meta({ description: 'The first changes.' }),
    moreChanges: count('How many changes are not in the list.').optional(),
  })
  .meta({ description: 'Of a Terraform step: what it worked out or changed.' });
export type TerraformDetails = z.infer<typeof terraformDetails>;

const recap = z
  .strictObject({
    host: z.string().max(253).meta({ description: 'Name of the host.' }),
    ok: count('Tasks that succeeded, those that changed something included.'),
    changed: count('Tasks that changed something.'),
    unreachable: count('Times that the host was not reached.'),
    failed: count('Tasks that failed.'),
    skipped: count('Tasks that were skipped.'),
    rescued: count('Failures that a rescue mended.'),
    ignored: count('Failures that were ignored.'),
  })
  .meta({ description: 'What came of one host.' });

/** What an Ansible step did. */
export const ansibleDetails = z
  .strictObject({
    commit: z.string().max(64).optional().meta({ description: 'The commit whose code ran.' }),
    hosts: z
      .array(recap)
      .max(32)
      .optional()
      .meta({ description: 'The recap of the hosts, the troubled ones first.' }),
    moreHosts: count('How many hosts are not in the list.').optional(),
    recap: recap.omit({ host: true }).meta({ description: 'The recap of all hosts together.' }),
  })
  .meta({ description: 'Of an Ansible step: what came of it.' });
export type AnsibleDetails = z.infer<typeof ansibleDetails>;

/**
 * The termination message of a runner, as JSON of fewer than 4096 bytes. The exit code says whether it succeeded; these
 * are the words for it. `check` tasks report the commit.
 */
export const runnerReport = z.strictObject({
  /** CamelCase, for example `Completed`, `PlanStale`, `SourceUnreachable`, `Interrupted`, `TerraformFailed`. */
  reason: z.string().max(128),
  message: z.string().max(1024).optional(),
  summary: z.string().max(256).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
  commit: commit.optional(),
  terraform: terraformDetails.optional(),
  ansible: ansibleDetails.optional(),
});
export type RunnerReport = z.infer<typeof runnerReport>;
