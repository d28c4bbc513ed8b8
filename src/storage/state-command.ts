import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { markOf, shownLock, type StateHead, type StateKey } from './state-head.ts';
import type { States } from './states.ts';

/** What the command works with. */
export interface StateCommandMeans {
  /** Opens what is kept; not called for a command that is given wrongly. */
  open: () => Promise<States>;
  /** Everything that is on the standard input. */
  input: () => Promise<Buffer>;
  output: (content: string | Buffer) => void;
  /** Name of this machine, which is that of the pod. */
  host: string;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** The command was given wrongly, or can not be carried out; the message says what to do. */
export class StateCommandError extends Error {
  override readonly name = 'StateCommandError';
}

const USAGE = `The states that Signalbox keeps for Terraform:

  state list                                     all of them, with who holds their locks
  state versions NAMESPACE PROJECT               the versions that are kept
  state export NAMESPACE PROJECT                 writes the state to the standard output
  state import NAMESPACE PROJECT                 reads a state from the standard input
  state unlock NAMESPACE PROJECT LOCK_ID         takes a lock away from whoever holds it

  --workspace NAME   of another workspace than default
  --version N        export: this version; state versions lists them
  --errored N        export: the Nth state that Terraform could not write
  --force            import: even if there is a state, whose versions stay`;

/** Imports never push a version out: a person may still want it. */
const KEEP_ALL = 1000;

interface Given {
  key: StateKey;
  /** What follows the project. */
  rest: string[];
  version: number | undefined;
  errored: number | undefined;
  force: boolean;
}

/** `main.js state ...`, for a person. @throws {StateCommandError}; what {@link States} throws */
export async function runStateCommand(args: readonly string[], means: StateCommandMeans): Promise<void> {
  const [command = '', ...others] = args;
  if (command === 'list') return list(await means.open(), means);
  const work = Object.hasOwn(commands, command) ? commands[command] : undefined;
  if (!work) throw new StateCommandError(USAGE);
  const given = parse(others);
  if (given.rest.length !== (command === 'unlock' ? 1 : 0)) throw new StateCommandError(USAGE);
  await work(given, await means.open(), means);
}

type Work = (given: Given, states: States, means: StateCommandMeans) => Promise<void>;

/** Those that are about one state. */
const commands: Readonly<Record<string, Work>> = {
  versions,
  export: exportState,
  import: importState,
  unlock,
};

function parse(args: string[]): Given {
  const options = {
    workspace: { type: 'string', default: 'default' },
    version: { type: 'string' },
    errored: { type: 'string' },
    force: { type: 'boolean', default: false },
  } as const;
  const { values, positionals } = parsed(() => parseArgs({ args, options, allowPositionals: true }));
  const [namespace, project, ...rest] = positionals;
  if (namespace === undefined || project === undefined) throw new StateCommandError(USAGE);
  return {
    key: { namespace, project, workspace: values.workspace },
    rest,
    version: numberOf(values.version),
    errored: numberOf(values.errored),
    force: values.force,
  };
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new StateCommandError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || /^[1-9][0-9]*$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new StateCommandError(`"${text}" is no number of a version: state versions lists them`);
}

async function list(states: States, { output }: StateCommandMeans): Promise<void> {
  const heads = (await states.list()).map(({ document }) => document);
  const rows = heads.map((head) => {
    const { namespace, project, workspace, versions, lock } = head;
    const current = versions.at(-1);
    const held = lock ? `${lock.info.ID} (${shownLock(lock).Info})` : '-';
    return [
      namespace,
      project,
      workspace,
      current?.serial ?? '-',
      versions.length,
      current?.time ?? '-',
      held,
    ];
  });
  const title = ['NAMESPACE', 'PROJECT', 'WORKSPACE', 'SERIAL', 'VERSIONS', 'UPDATED', 'LOCK'];
  output(table([title, ...rows.sort((a, b) => (a.join('/') < b.join('/') ? -1 : 1))]));
}

async function versions({ key }: Given, states: States, { output }: StateCommandMeans): Promise<void> {
  const head = await headOf(states, key);
  const rows = head.versions.map(({ number, serial, lineage, time, run, step, artifact }) => {
    return [number, serial, lineage, artifact.size, time, run || '-', step, artifact.digest];
  });
  output(table([['VERSION', 'SERIAL', 'LINEAGE', 'BYTES', 'TIME', 'RUN', 'STEP', 'DIGEST'], ...rows]));
  if (head.errored.length === 0) return;
  const errored = head.errored.map(({ time, run, step, pod, artifact }, index) => {
    return [index + 1, artifact.size, time, run, step, pod];
  });
  output(`\nStates that Terraform could not write:\n\n`);
  output(table([['ERRORED', 'BYTES', 'TIME', 'RUN', 'STEP', 'POD'], ...errored]));
}

async function exportState(
  { key, version, errored }: Given,
  states: States,
  { output }: StateCommandMeans,
): Promise<void> {
  const head = await headOf(states, key);
  if (errored !== undefined) {
    const found = head.errored[errored - 1];
    if (!found)
      throw new StateCommandError(`there is no errored state ${errored}: state versions lists them`);
    return output(await states.loadErrored(key, found));
  }
  const content = await states.load(key, version);
  if (content) return output(content);
  throw new StateCommandError(
    version === undefined
      ? `${textOf(key)} has no version yet`
      : `${textOf(key)} has no version ${version} any more: state versions lists those that are kept`,
  );
}

async function importState({ key, force }: Given, states: States, means: StateCommandMeans): Promise<void> {
  const { output, host, now } = means;
  const content = await means.input();
  const { serial } = markOf(content);
  const lockId = randomUUID();
  const holder = { pod: host, podUid: lockId, run: '', step: 'import' };
  const info = {
    ID: lockId,
    Operation: 'Import',
    Info: '',
    Who: `a person, in pod ${host}`,
    Version: '',
    Created: new Date(now()).toISOString(),
    Path: '',
  };
  const other = await states.lock(key, info, holder);
  if (other) {
    throw new StateCommandError(
      `${textOf(key)} is locked: ${shownLock(other).Info}. Wait for that step, or break its lock with state unlock`,
    );
  }
  try {
    const current = (await states.read(key))?.versions.at(-1);
    if (current && !force) {
      throw new StateCommandError(
        `${textOf(key)} has a state already, with serial ${current.serial} of lineage ${current.lineage}: ` +
          '--force puts this one on top of it; the versions before stay',
      );
    }
    await states.write(key, { content, lockId, holder, keep: KEEP_ALL, force });
    output(`imported serial ${serial} as ${textOf(key)}\n`);
  } finally {
    await states.unlock(key, lockId, holder.podUid);
  }
}

async function unlock({ key, rest }: Given, states: States, { output }: StateCommandMeans): Promise<void> {
  const [lockId = ''] = rest;
  const outcome = await states.unlock(key, lockId);
  switch (outcome) {
    case 'Unlocked':
      return output(`the lock ${lockId} of ${textOf(key)} is broken\n`);
    case 'NotLocked':
      return output(`${textOf(key)} is not locked\n`);
    case 'OtherLock':
      throw new StateCommandError(`${textOf(key)} is locked under another ID: state list shows it`);
    default:
      throw new TypeError(outcome satisfies never);
  }
}

async function headOf(states: States, key: StateKey): Promise<StateHead> {
  const head = await states.read(key);
  if (head) return head;
  throw new StateCommandError(`there is no ${textOf(key)}: state list shows those that there are`);
}

const textOf = ({ namespace, project, workspace }: StateKey) =>
  `state of workspace ${workspace} of project ${namespace}/${project}`;

function table(rows: (string | number)[][]): string {
  const widths =
    rows[0]?.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length))) ?? [];
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => String(cell).padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
