/** How deep JSON may be nested that a step sends or reads: what goes through it calls itself for each level. */
export const MAX_DEPTH = 64;

/** Whether a JSON value has lists and objects in each other beyond so many levels. */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}
