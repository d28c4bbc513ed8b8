import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Files by path. */
export type Files = Readonly<Record<string, string>>;

/** A git repository of a test, on this machine. */
export class Repository {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.git('init', '--quiet', '--initial-branch=main');
  }

  get url(): string {
    return pathToFileURL(this.folder).href;
  }

  /** Makes these the files of the next commit, in place of all others. */
  commit(files: Files): string {
    this.git('rm', '-r', '--quiet', '--force', '--ignore-unmatch', '.');
    for (const [name, text] of Object.entries(files)) this.write(name, text);
    this.git('add', '--all');
    this.git('commit', '--quiet', '--allow-empty', '--message=change');
    return this.git('rev-parse', 'HEAD');
  }

  remove(file: string): void {
    rmSync(path.join(this.folder, file));
  }

  git(...args: string[]): string {
    const identity = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
    const who = ['user.name=test', 'user.email=test@example.com', 'protocol.file.allow=always'];
    const options = who.flatMap((setting) => ['-c', setting]);
    return execFileSync('git', ['-C', this.folder, ...options, ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...identity },
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  }

  private write(name: string, text: string): void {
    const file = path.join(this.folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
