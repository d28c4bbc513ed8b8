import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';

/**
 * Runs `work` while no other process holds the lock on `file`. The lock is the kernel's, held by a `flock` command for
 * as long as the pipe from here to it is open, so it ends with this process however that ends.
 * @param limit milliseconds to wait for the lock.
 */
export async function withLock<T>(file: string, limit: number, work: () => Promise<T>): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  const holder = spawn('flock', ['--wait', String(limit / 1000), '--close', file, 'cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { promise: held, resolve, reject } = Promise.withResolvers<void>();
  holder.stdout.once('data', () => resolve());
  holder.once('error', reject);
  holder.once('exit', () => reject(new Error(`Another process has held ${file} for ${limit / 1000} s`)));
  holder.stdin.on('error', () => undefined);
  holder.stdin.write('held\n');
  await held;
  try {
    return await work();
  } finally {
    holder.stdin.end();
  }
}
