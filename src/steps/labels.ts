import { createHash } from 'node:crypto';
import { GROUP } from '../api/common.ts';

/** Labels of everything that belongs to a run. */
export const LABELS = {
  workflow: `${GROUP}/workflow`,
  run: `${GROUP}/run`,
  step: `${GROUP}/step`,
  attempt: `${GROUP}/attempt`,
} as const;

const LABEL_VALUE_LENGTH = 63;

/** A name as a label value: itself, or, as names may be longer than label values, its start and a hash. */
export function labelValue(name: string): string {
  if (name.length <= LABEL_VALUE_LENGTH) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 10);
  return `${name.slice(0, LABEL_VALUE_LENGTH - hash.length - 1)}-${hash}`;
}
