import type { EnvVar, Volume } from 'kubernetes-types/core/v1.d.ts';
import type { ProjectSpec } from '../api/project.ts';
import { RUNNER_AUDIENCE, RUNNER_ENV, RUNNER_PATHS, type RunnerTask } from '../api/runner.ts';
import { literal, plainVariables, secretVariables } from './environment.ts';
import type { AttemptGrant, Mount, Program, ProgramContext } from './step-type.ts';

/** The kubelet replaces it before it expires. */
const TOKEN_SECONDS = 3600;

/** What a step does with a Project. */
export interface ProjectTask {
  task: Pick<RunnerTask, 'terraform' | 'ansible'>;
  grant: AttemptGrant;
  image: string;
  /** Environment variables that are the step's own, from Secrets. */
  secrets?: NonNullable<ProjectSpec['secrets']>;
  mounts?: Mount[];
  gracePeriodSeconds: number;
  keepOnNode?: true;
}

/** The program of a step that works on a Project: our runner, and what it is given. */
export function projectProgram(
  project: ProjectSpec,
  { task, grant, image, mounts = [], gracePeriodSeconds, keepOnNode, secrets = {} }: ProjectTask,
  { access }: Pick<ProgramContext, 'access'>,
): Program {
  const { url, ca, sign } = access();
  const program = sourceProgram(project, image, { task, secrets });
  return {
    ...program,
    env: [
      ...program.env,
      ...plainVariables({
        [RUNNER_ENV.apiUrl]: url,
        [RUNNER_ENV.apiCa]: ca,
        [RUNNER_ENV.grant]: sign(grant),
      }),
    ],
    mounts: [...(program.mounts ?? []), tokenMount, ...mounts],
    gracePeriodSeconds,
    ...(keepOnNode ? { keepOnNode } : {}),
  };
}

/** The program that finds out which commit the source of a Project stands for, and nothing else. */
export const checkProgram = (project: ProjectSpec, image: string): Program =>
  sourceProgram(project, image, { task: {}, secrets: {} });

function sourceProgram(
  project: ProjectSpec,
  image: string,
  { task, secrets }: Required<Pick<ProjectTask, 'task' | 'secrets'>>,
): Program {
  const { git, caBundle, env = {}, serviceAccountName } = project;
  const fromSecrets = { ...project.secrets, ...secrets };
  const whole: RunnerTask = {
    source: {
      url: git.url,
      ...(git.ref === undefined ? {} : { ref: git.ref }),
      ...(git.path === undefined ? {} : { path: git.path }),
      submodules: git.submodules ?? false,
      credentials: git.credentials !== undefined,
    },
    ca: caBundle !== undefined,
    masked: Object.keys(fromSecrets),
    ...task,
  };
  return {
    image,
    isRunner: true,
    env: [
      { name: RUNNER_ENV.task, value: literal(JSON.stringify(whole)) } satisfies EnvVar,
      ...plainVariables(env),
      ...secretVariables(fromSecrets),
    ],
    mounts: [
      ...(git.credentials ? [secretMount('git', git.credentials.name, RUNNER_PATHS.git)] : []),
      ...(caBundle ? [caMount(caBundle)] : []),
    ],
    ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
  };
}

/** Shows the runner API which pod calls. It is worth nothing to the API server. */
const tokenMount: Mount = {
  path: folderOf(RUNNER_PATHS.token),
  volume: {
    name: 'api',
    projected: {
      sources: [
        {
          serviceAccountToken: { audience: RUNNER_AUDIENCE, expirationSeconds: TOKEN_SECONDS, path: 'token' },
        },
      ],
    },
  },
};

export const secretMount = (name: string, secretName: string, path: string): Mount => ({
  path,
  volume: { name, secret: { secretName, ...MAY_BE_MISSING } },
});

/** One key of a Secret as a file. */
export const keyMount = (
  name: string,
  { name: secretName, key }: { name: string; key: string },
  path: string,
): Mount => ({
  path: folderOf(path),
  volume: { name, secret: { secretName, items: [{ key, path: fileOf(path) }], ...MAY_BE_MISSING } },
});

export const claimMount = (name: string, claimName: string, path: string): Mount => ({
  path,
  volume: { name, persistentVolumeClaim: { claimName } } satisfies Volume,
});

/**
 * Read by the group, which is that of the pod. What is missing the runner says at once; the kubelet would wait for it
 * and tell nobody.
 */
const MAY_BE_MISSING = { defaultMode: 0o440, optional: true };

function caMount({ secret, configMap }: NonNullable<ProjectSpec['caBundle']>): Mount {
  if (secret) return keyMount('ca', secret, RUNNER_PATHS.ca);
  const items = [{ key: configMap?.key ?? '', path: fileOf(RUNNER_PATHS.ca) }];
  return {
    path: folderOf(RUNNER_PATHS.ca),
    volume: { name: 'ca', configMap: { name: configMap?.name ?? '', items, optional: true } },
  };
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function fileOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
