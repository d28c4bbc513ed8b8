import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Teams } from '../engine/teams.ts';

const names = z.array(z.string().min(1).max(256)).max(1000).default([]);

const schema = z.record(z.string().min(1).max(256), z.strictObject({ users: names, groups: names }));

/** The file of teams cannot be used; the message says what is wrong with it. */
export class TeamsError extends Error {
  override readonly name = 'TeamsError';
}

/** Who is in which team, in a file that may change at any time: the kubelet replaces the files of a mounted ConfigMap. */
export interface TeamsFile {
  /** What was read last. */
  teams(): Teams;
  /** Reads the file now. @throws {TeamsError} when it cannot be used; what was read before then stays in force */
  refresh(): Promise<Teams>;
}

/**
 * Reads the teams.
 *
 * @param path undefined where no teams are set: then each is the group of its name
 * @throws {TeamsError}
 */
export async function openTeams(path: string | undefined): Promise<TeamsFile> {
  let current = await readTeams(path);
  return {
    teams: () => current,
    async refresh() {
      current = await readTeams(path);
      return current;
    },
  };
}

async function readTeams(path: string | undefined): Promise<Teams> {
  if (path === undefined) return {};
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new TeamsError(`the file of teams ${path} cannot be read: ${String(error)}`, { cause: error });
  });
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`);
  throw new TeamsError(
    `the file of teams ${path} must be JSON such as {"platform": {"users": ["jane"], "groups": ["sre"]}}: ${problems.join('; ')}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
