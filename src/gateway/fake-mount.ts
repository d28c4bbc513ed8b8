import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';

/** Files by their names. */
export type Files = Readonly<Record<string, string>>;

/** A folder as a kubelet makes it for a mounted Secret. */
export interface FakeMount {
  readonly folder: string;
  /** Puts other files in the place of all that are there, at once, as a kubelet does. */
  replace(files: Files): Promise<void>;
}

/**
 * Stands for a kubelet, which writes the files of a Secret into a new folder, makes the link `..data` lead to that, and
 * removes the old one. What is seen in the mount are links through `..data`.
 */
export async function fakeMount(t: Pick<TestContext, 'after'>, files: Files): Promise<FakeMount> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mount-'));
  t.after(() => rm(folder, { recursive: true }));
  const link = path.join(folder, '..data');
  let before: string | undefined;
  let round = 0;

  async function replace(next: Files): Promise<void> {
    round += 1;
    const place = `..${round}`;
    await mkdir(path.join(folder, place));
    for (const [name, text] of Object.entries(next)) await writeFile(path.join(folder, place, name), text);
    const swap = `${link}_${round}`;
    await symlink(place, swap);
    await rename(swap, link);
    for (const name of Object.keys(next)) {
      await symlink(path.join('..data', name), path.join(folder, name)).catch(() => {});
    }
    if (before !== undefined) await rm(path.join(folder, before), { recursive: true, force: true });
    before = place;
  }

  await replace(files);
  return { folder, replace };
}
