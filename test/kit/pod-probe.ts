import * as z from 'zod';

/** What a process says of the container that it runs in. */
const findings = z.object({
  uid: z.string(),
  capabilities: z.array(z.string()),
  noNewPrivileges: z.string(),
  seccomp: z.string(),
  /** What comes of writing into each folder: the code of the error, or `written`. */
  writes: z.record(z.string(), z.string()),
  /** Whether there is a token for the Kubernetes API. */
  token: z.boolean(),
  /** Answers by name: the status, and the reason if there is one, or the code of the error. */
  answers: z.record(z.string(), z.string()),
});
export type Findings = z.infer<typeof findings>;

/** A request that the probe tries. */
export interface Attempt {
  url: string;
  headers?: Record<string, string>;
  /** File whose content is sent as the bearer token. */
  tokenFile?: string;
  /** Of the environment of the first process, the value that is sent as the grant, with this part of it replaced. */
  grant?: { variable: string; replace?: [string, string] };
}

const MARK = 'PROBED ';

/** A program for Node that finds out what code can do where it runs, and prints it. */
export const probe = (folders: readonly string[], attempts: Record<string, Attempt>): string => `
const fs = require('node:fs');
const https = require('node:https');
const status = fs.readFileSync('/proc/self/status', 'utf8');
const field = (name) => new RegExp('^' + name + ':\\\\s*(.*)$', 'm').exec(status)[1].trim();
function write(folder) {
  try {
    fs.writeFileSync(folder + '/probe', '');
    return 'written';
  } catch (error) {
    return error.code;
  }
}
function grantOf({ variable, replace }) {
  // That of the runner, which gives it to none of its programs.
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name))) {
    let text = '';
    try { text = fs.readFileSync('/proc/' + pid + '/environ', 'utf8'); } catch { continue; }
    const found = text.split('\\0').find((line) => line.startsWith(variable + '='));
    if (!found) continue;
    const grant = found.slice(variable.length + 1);
    if (!replace) return grant;
    const [body, signature] = grant.split('.');
    const claims = Buffer.from(body, 'base64url').toString();
    return Buffer.from(claims.replace(...replace)).toString('base64url') + '.' + signature;
  }
  return 'none';
}
function ask({ url, headers = {}, tokenFile, grant }) {
  const all = { ...headers };
  if (tokenFile) all.authorization = 'Bearer ' + fs.readFileSync(tokenFile, 'utf8').trim();
  if (grant) all['signalbox-grant'] = grantOf(grant);
  return new Promise((resolve) => {
    const request = https.get(url, { headers: all, rejectUnauthorized: false, timeout: 5000 }, (response) => {
      let text = '';
      response.on('data', (data) => (text += data));
      response.on('end', () => {
        const reason = /"reason": ?"(\\w+)"/.exec(text);
        resolve(response.statusCode + (reason ? ' ' + reason[1] : ''));
      });
    });
    request.on('timeout', () => request.destroy(Object.assign(new Error(), { code: 'TIMEOUT' })));
    request.on('error', (error) => resolve(error.code));
  });
}
async function main() {
  const answers = {};
  for (const [name, attempt] of Object.entries(${JSON.stringify(attempts)})) answers[name] = await ask(attempt);
  const found = {
    uid: field('Uid').split(/\\s+/).join(' '),
    capabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].filter((name) => !/^0+$/.test(field(name))),
    noNewPrivileges: field('NoNewPrivs'),
    seccomp: field('Seccomp'),
    writes: Object.fromEntries(${JSON.stringify(folders)}.map((folder) => [folder, write(folder)])),
    token: fs.existsSync('/var/run/secrets/kubernetes.io/serviceaccount/token'),
    answers,
  };
  console.log(${JSON.stringify(MARK)} + Buffer.from(JSON.stringify(found)).toString('base64'));
}
main();
`;

/** What the probe has printed into a log. */
export function findingsIn(log: string): Findings {
  const [, encoded] = new RegExp(`${MARK}([A-Za-z0-9+/=]+)`).exec(log) ?? [];
  if (encoded === undefined) throw new Error(`the probe has printed nothing:\n${log}`);
  return findings.parse(JSON.parse(Buffer.from(encoded, 'base64').toString()));
}
