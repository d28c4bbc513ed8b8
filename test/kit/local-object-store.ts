import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { silent } from '../cluster/report.ts';
import { ensureTool } from '../cluster/tools.ts';
import { waitFor } from '../cluster/wait.ts';
import { type Credentials, s3 } from './s3.ts';

const LIMIT_MS = 20_000;

interface LocalObjectStore {
  /** Where it keeps its objects: files of their names below the bucket. */
  folder: string;
  /** Address and port that it listens on. */
  listen: `${string}:${number}`;
  bucket: string;
  credentials: Credentials;
}

/** Runs a real object store on this machine, with one bucket. Whoever starts it kills it. */
export async function startObjectStore(options: LocalObjectStore): Promise<ChildProcess> {
  const { folder, listen, bucket, credentials } = options;
  const program = await ensureTool('versitygw', silent);
  await mkdir(folder, { recursive: true });
  const { accessKey, secretKey } = credentials;
  const env = { ...process.env, ROOT_ACCESS_KEY_ID: accessKey, ROOT_SECRET_ACCESS_KEY: secretKey };
  const child = spawn(program, ['--port', listen, 'posix', folder], { env, stdio: 'ignore' });
  await waitFor('the object store', LIMIT_MS, async () => {
    const { status } = await s3(credentials, { method: 'PUT', url: new URL(`http://${listen}/${bucket}`) });
    return status === 200 || status === 409 || undefined;
  });
  return child;
}
