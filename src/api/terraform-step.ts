import * as z from 'zod';
import { type Check, checks, duration } from './common.ts';

/** What a Terraform step does. */
export const TERRAFORM_ACTIONS = ['plan', 'apply', 'destroy'] as const;

/** The name of a Project, or a template that gives one. */
export const projectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^([a-z0-9]([-.a-z0-9]*[a-z0-9])?|[^{}]*\$\{\{.*\}\}[^{}]*)$/)
  .meta({
    description:
      'Name of the Project, in the same namespace. ${{ expression }} in it is replaced, for example api-${{ item }}.',
  });

/** Values of input variables, by name. The API server has no type for maps of any values: see {@link namesOf}. */
export const terraformVars = z
  .record(z.string().min(1).max(128), z.unknown())
  .optional()
  .meta({ maxProperties: 64 });

/** A check, on what has such a map, that its keys can be names of variables. */
export function namesOf(member: string, pattern: string): Check {
  const map = `dyn(self).${member}`;
  const isName = `string(k).matches('${pattern}')`;
  return {
    rule: `!has(${map}) || ${map}.all(k, ${isName})`,
    // A culprit would cost more than the API server allows.
    message: "a name of a variable must consist of letters, digits and '_', and not start with a digit",
    fieldPath: `.${member}`,
  };
}

/** Terraform takes hyphens, Ansible does not. */
export const TERRAFORM_NAME = '^[A-Za-z_][A-Za-z0-9_-]*$';

/** A Terraform workspace. */
export const workspaceName = z
  .string()
  .max(90)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/)
  .optional();

const withPlan = "has(self.plan) && self.action != 'plan'";

/** Plans and applies a Project with Terraform or OpenTofu. */
export const terraformStep = z
  .strictObject({
    project: projectName,
    action: z.enum(TERRAFORM_ACTIONS).meta({
      description:
        'What is done. plan: works out what would change and keeps it. apply: makes exactly the changes of the plan step that plan names. destroy: the same with a plan that was made with destroy: true.',
    }),
    plan: z.string().min(1).max(256).optional().meta({
      description:
        'For apply and destroy: the step whose plan is carried out, or one instance of it, for example plan or plan[us]. ${{ expression }} in it is replaced.',
    }),
    autoApprove: z.boolean().optional().meta({
      description:
        'For apply: true plans and applies in one step, so that nobody can look at the plan before. Default false.',
    }),
    destroy: z.boolean().optional().meta({
      description: 'For plan: plans the destruction of everything in the state. Default false.',
    }),
    vars: terraformVars.meta({
      description:
        'Values of input variables, by name; each replaces that of the Project. ${{ expression }} in a string is replaced. A plan holds the values that it was made with.',
    }),
    targets: z
      .array(
        z
          .string()
          .min(1)
          .max(512)
          .regex(/^[A-Za-z_"[\]]/),
      )
      .max(32)
      .optional()
      .meta({ description: 'Addresses of the resources to plan for. Default: all.' }),
    workspace: workspaceName.meta({ description: 'Workspace of the state. Default: that of the Project.' }),
    gracePeriod: duration(
      'How long Terraform may take to end in good order when the step is stopped, before it is killed. Default 10m.',
    ).optional(),
  })
  .meta({
    description:
      'Runs Terraform or OpenTofu on a Project. The plan is kept encrypted by the operator, and apply carries out exactly that plan.',
    ...checks(
      namesOf('vars', TERRAFORM_NAME),
      {
        rule: "self.action != 'apply' || has(self.plan) != (has(self.autoApprove) && self.autoApprove)",
        message:
          'apply needs the plan that it carries out: set plan to the name of the plan step. To plan and apply in one step that nobody can look into, set autoApprove: true instead',
        fieldPath: '.action',
      },
      {
        rule: "self.action != 'destroy' || (has(self.plan) && !has(self.autoApprove))",
        message:
          'destroy needs a plan that was made for it: set plan to the name of a plan step with destroy: true, and leave autoApprove out',
        fieldPath: '.action',
      },
      {
        rule: "self.action != 'plan' || (!has(self.plan) && !has(self.autoApprove))",
        message: 'plan and autoApprove go with action apply: remove them from a step that plans',
        fieldPath: '.action',
      },
      {
        rule: "!has(self.destroy) || self.action == 'plan'",
        message: 'destroy: true goes with action plan: use it on the step that plans the destruction',
      },
      {
        rule: `!(${withPlan}) || (!has(dyn(self).vars) && !has(self.targets))`,
        message:
          'a step that carries out a plan takes no vars and targets: they are in the plan. Set them on the plan step',
      },
    ),
  });
export type TerraformStep = z.infer<typeof terraformStep>;
