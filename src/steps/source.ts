import { createHash } from 'node:crypto';
import type { ProjectSpec } from '../api/project.ts';

/** Stands for the address and the ref of a Project: steps of a run that have them in common use one commit. */
export const sourceOf = ({ git }: ProjectSpec): string =>
  createHash('sha256')
    .update(JSON.stringify([git.url, git.ref ?? null]))
    .digest('hex')
    .slice(0, 32);
