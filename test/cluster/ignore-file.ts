import path from 'node:path';

interface Rule {
  readonly pattern: string;
  readonly ignore: boolean;
}

/**
 * Reads a .dockerignore and gives a function that says whether a path (below the context) is part of the context.
 * The last pattern that matches a path, or a folder above it, decides. A folder is kept for as long as an exception
 * may lie below it.
 * @see https://docs.docker.com/build/concepts/context/#dockerignore-files
 */
export function contextFilter(ignoreFile: string): (relative: string, isFolder: boolean) => boolean {
  const rules = ignoreFile
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(toRule);
  const exceptions = rules.filter((rule) => !rule.ignore);
  return (relative, isFolder) => {
    const ignored = rules.findLast((rule) => covers(rule.pattern, relative))?.ignore ?? false;
    return !ignored || (isFolder && exceptions.some((rule) => mayLieBelow(relative, rule.pattern)));
  };
}

function toRule(line: string): Rule {
  const ignore = !line.startsWith('!');
  return { ignore, pattern: path.normalize(ignore ? line : line.slice(1)).replace(/^\/|\/$/g, '') };
}

function covers(pattern: string, relative: string): boolean {
  const parts = relative.split('/');
  return parts.some((_, index) => path.matchesGlob(parts.slice(0, index + 1).join('/'), pattern));
}

function mayLieBelow(folder: string, pattern: string): boolean {
  return pattern.startsWith('**') || pattern.startsWith(`${folder}/`);
}
