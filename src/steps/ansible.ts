import type { AnsibleStep } from '../api/ansible-step.ts';
import type { ProjectSpec } from '../api/project.ts';
import { type AnsibleTask, RUNNER_PATHS } from '../api/runner.ts';
import { type FinallyStep, gracePeriodOf, type Step } from '../api/step.ts';
import { mapOf } from '../engine/type.ts';
import { resolvedScalars } from './json-templates.ts';
import { keyMount, projectProgram, secretMount } from './project-program.ts';
import { sourceOf } from './source.ts';
import { type JobStepType, type Mount, type ProgramContext, ProgramError } from './step-type.ts';

const DEFAULT_FORKS = 5;
const GROUPS = 'ansible.inventory.groups';

type Ansible = NonNullable<ProjectSpec['ansible']>;

/** Runs a playbook of a Project; everything happens in the runner. */
export const ansible: JobStepType = {
  kind: 'Job',

  resolve(spec, { text, scalar }) {
    const step = ansibleOf(spec);
    const { project, limit, extraVars } = step;
    return {
      ...spec,
      ansible: {
        ...step,
        project: text('ansible.project', project),
        ...(limit === undefined ? {} : { limit: text('ansible.limit', limit) }),
        ...(extraVars ? { extraVars: resolvedScalars('ansible.extraVars', extraVars, scalar) } : {}),
      },
    };
  },

  expressions(spec) {
    const { groups } = ansibleOf(spec).inventory ?? {};
    return groups === undefined ? [] : [{ field: GROUPS, source: groups, variables: {}, needed: mapOf() }];
  },

  program(spec, context) {
    const step = ansibleOf(spec);
    const project = context.project(step.project);
    const settings = project.ansible ?? {};
    return projectProgram(
      project,
      {
        task: { ansible: taskOf(step, settings, context) },
        grant: { project: step.project, source: sourceOf(project), managed: false, stateVersions: 1 },
        image: settings.image ?? context.images.ansible,
        mounts: mountsOf(settings),
        gracePeriodSeconds: Math.ceil(gracePeriodOf(spec) / 1000),
        ...(step.check ? {} : { keepOnNode: true }),
      },
      context,
    );
  },
};

function ansibleOf(spec: Step | FinallyStep): AnsibleStep {
  if (spec.ansible) return spec.ansible;
  throw new TypeError(`step ${spec.name} is no ansible step`);
}

function taskOf(step: AnsibleStep, settings: Ansible, context: ProgramContext): AnsibleTask {
  const inventory = inventoryOf(step, settings, context);
  const { user, requirements, galaxyServer } = settings;
  return {
    playbook: step.playbook,
    ...(inventory ? { inventory } : {}),
    ...(user === undefined ? {} : { user }),
    ...(step.limit === undefined ? {} : { limit: step.limit }),
    tags: step.tags ?? [],
    skipTags: step.skipTags ?? [],
    extraVars: step.extraVars ?? {},
    check: step.check ?? false,
    diff: step.diff ?? false,
    forks: step.forks ?? DEFAULT_FORKS,
    ssh: settings.credentials !== undefined,
    vault: settings.vault !== undefined,
    ...(requirements === undefined ? {} : { requirements }),
    ...(galaxyServer === undefined ? {} : { galaxyServer }),
  };
}

/** @throws {ProgramError} ExpressionError */
function inventoryOf(
  { inventory }: AnsibleStep,
  settings: Ansible,
  { evaluate }: ProgramContext,
): AnsibleTask['inventory'] {
  const { inline, file = inventory ? undefined : settings.inventory, groups } = inventory ?? {};
  if (inline !== undefined) return { inline };
  if (file !== undefined) return { file };
  if (groups === undefined) return undefined;
  const result = evaluate(GROUPS, {});
  if ('value' in result) return { groups: result.value };
  throw new ProgramError('ExpressionError', `${GROUPS}: ${result.error}.`);
}

function mountsOf({ credentials, vault }: Ansible): Mount[] {
  return [
    ...(credentials ? [secretMount('ssh', credentials.name, RUNNER_PATHS.ssh)] : []),
    ...(vault ? [keyMount('vault', vault, RUNNER_PATHS.vault)] : []),
  ];
}
