import { run } from './command.ts';

/** One program to build from Go modules. */
export interface GoProgram {
  /** The package to build, as seen from the module. */
  readonly target: string;
  /** Values that the program tells about itself, by the variable that the linker sets. */
  readonly stamps?: Readonly<Record<string, string>>;
  /** Parts of the program that are built on request only. */
  readonly tags?: readonly string[];
  /** Whether parts of it are in C, which needs gcc. */
  readonly language?: 'Go' | 'Go and C';
}

/** How long one build may take, the first one on a slow machine. */
export const buildLimit = 40 * 60_000;

/** @param module folder of the go.mod that pins everything that goes into the program */
export async function goBuild(module: string, program: GoProgram, output: string): Promise<void> {
  const { target, stamps = {}, tags = [], language = 'Go' } = program;
  const linker = ['-s -w', ...Object.entries(stamps).map(([name, value]) => `-X '${name}=${value}'`)];
  const options = ['-trimpath', '-buildvcs=false', '-ldflags', linker.join(' '), '-tags', tags.join(',')];
  await run(['go', '-C', module, 'build', ...options, '-o', output, target], {
    limit: buildLimit,
    env: { CGO_ENABLED: language === 'Go' ? '0' : '1' },
  });
}
