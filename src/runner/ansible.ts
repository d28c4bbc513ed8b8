import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { AnsibleTask } from '../api/runner.ts';
import { ansibleEnvironment, galaxyArguments, playbookArguments } from './ansible-command.ts';
import { FirstError } from './ansible-error.ts';
import { type AnsibleFiles, writeAnsibleFiles } from './ansible-files.ts';
import { ansibleOutcome } from './ansible-outcome.ts';
import { readRecord } from './ansible-record.ts';
import { vaultedValues } from './ansible-vault.ts';
import { interrupted, RunnerError } from './failure.ts';
import { type Command, describeExit, type Exit, lines, runProgram, succeeded } from './process.ts';
import type { Outcome, WorkPlace } from './work.ts';

/** Runs the playbook of a step. */
export async function runAnsible(task: AnsibleTask, place: WorkPlace): Promise<Outcome> {
  requireFile(place, task.playbook, { reason: 'PlaybookNotFound', field: 'playbook' });
  const { inventory } = task;
  if (inventory?.file !== undefined) {
    requireFile(place, inventory.file, { reason: 'InventoryInvalid', field: 'inventory' });
  }
  const files = await writeAnsibleFiles(task, {
    paths: place.paths,
    folder: path.join(place.folder, 'ansible'),
  });
  await hideVaulted(place, files);
  const args = playbookArguments(task, files);
  if (task.requirements !== undefined) {
    await place.log.stage('requirements', () => installRequirements(task, place, files));
  }
  const { exit, error } = await place.log.stage('playbook', () =>
    runTool(commandOf('ansible-playbook', args, { place, files }), place),
  );
  return ansibleOutcome({
    exit,
    error,
    record: await readRecord(files.record),
    mode: task.check ? 'check' : 'run',
    wasStopped: place.stop.aborted,
    commit: place.code.commit,
    mask: place.mask,
  });
}

/** Ansible shows what it has decrypted wherever a task has no `no_log`. */
async function hideVaulted({ code, mask }: WorkPlace, { vaultPassword }: AnsibleFiles): Promise<void> {
  if (vaultPassword === undefined) return;
  mask.hide(await vaultedValues(code.folder, await readFile(vaultPassword, 'utf8')));
}

function requireFile(
  { code }: WorkPlace,
  file: string,
  { reason, field }: { reason: string; field: string },
): void {
  if (existsSync(path.join(code.folder, file))) return;
  throw new RunnerError(reason, `The project has no file ${file} at this commit. Check ${field}.`);
}

async function installRequirements(
  { requirements = '', galaxyServer }: AnsibleTask,
  place: WorkPlace,
  files: AnsibleFiles,
): Promise<void> {
  requireFile(place, requirements, { reason: 'RequirementsFailed', field: 'ansible.requirements' });
  const args = galaxyArguments(requirements, galaxyServer);
  const { exit, error } = await runTool(commandOf('ansible-galaxy', args, { place, files }), place);
  if (succeeded(exit)) return;
  if (place.stop.aborted) throw interrupted('the installation of its requirements');
  throw new RunnerError(
    'RequirementsFailed',
    `The collections and roles of ${requirements} could not be installed: ${error ?? describeExit(exit)}`,
  );
}

function commandOf(
  program: string,
  args: readonly string[],
  { place, files }: { place: WorkPlace; files: AnsibleFiles },
): Command {
  const { code, env, folder } = place;
  const home = env['HOME'] ?? folder;
  return {
    program,
    args,
    cwd: code.folder,
    env: ansibleEnvironment(env, { files, home, code: code.folder }),
  };
}

/** Shows what the program prints, and keeps its first error. */
async function runTool(
  command: Command,
  { log, stop }: WorkPlace,
): Promise<{ exit: Exit; error: string | undefined }> {
  const error = new FirstError();
  const stderr = lines((line) => {
    log.line(line);
    error.take(line);
  });
  const stdout = lines((line) => log.line(line));
  const exit = await runProgram(command, { stdout, stderr, stop, stopBy: 'SIGINT' });
  return { exit, error: error.text };
}
