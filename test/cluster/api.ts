import { readFile } from 'node:fs/promises';
import https from 'node:https';
import path from 'node:path';

/** Enough of a client to see whether the API server is there: one GET as admin, the body as text. */
export async function get(folder: string, server: string, resource: string): Promise<string> {
  const file = (name: string) => readFile(path.join(folder, 'certificates', name));
  const [ca, cert, key] = await Promise.all([file('ca.crt'), file('admin.crt'), file('admin.key')]);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = https.get(
    `${server}${resource}`,
    { ca, cert, key, agent: false, timeout: 5_000 },
    (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`${resource} answered ${response.statusCode}: ${body.slice(0, 500)}`));
      });
    },
  );
  request.on('timeout', () => request.destroy(new Error(`${resource} did not answer within 5 s`)));
  request.on('error', reject);
  return promise;
}
