import { RunnerError } from './failure.ts';
import { describeExit, type Exit } from './process.ts';

/** What git and ssh say, and what it means; the first that fits counts. */
const MEANINGS: readonly { said: RegExp; reason: string; advice: string }[] = [
  {
    said: /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    reason: 'HostKeyUnknown',
    advice:
      'The host shows another key than the known_hosts of the Secret have. If its key was really replaced, put the new one there.',
  },
  {
    said: /Host key verification failed|No \S+ host key is known/,
    reason: 'HostKeyUnknown',
    advice:
      'The key of the host is not in known_hosts. Put its line into known_hosts of the Secret that git.credentials names, after checking it with those who run the host.',
  },
  {
    said: /transport '\S+' not allowed/,
    reason: 'ProtocolRefused',
    advice: 'Only https, http and ssh are allowed, for submodules too.',
  },
  {
    said: /Authentication failed|could not read (Username|Password)|Permission denied|returned error: 40[13]|Access denied|Load key/,
    reason: 'SourceDenied',
    advice:
      'The server did not let us in. Check the Secret that git.credentials names, and what its owner may read.',
  },
  {
    said: /[Rr]epository '?\S*'? ?not found|does not appear to be a git repository|returned error: 404|could not be found|not exported/,
    reason: 'SourceNotFound',
    advice:
      'There is no such repository, or the credentials do not give the right to see it. Check git.url and git.credentials.',
  },
  {
    said: /certificate|SSL|TLS/,
    reason: 'SourceUntrusted',
    advice:
      'The certificate of the server is not trusted. If it is of a CA of your own, name that in caBundle.',
  },
  {
    said: /[Cc]ould not resolve|[Cc]onnection (refused|timed out|reset|closed)|[Ff]ailed to connect|[Cc]ould ?n.t connect|Operation timed out|No route to host|Network is unreachable|Operation too slow|returned error: 5\d\d|returned error: 429|hung up|early EOF|unexpected disconnect|[Tt]imeout/,
    reason: 'SourceUnreachable',
    advice: 'The server could not be reached.',
  },
];

/** Says why git failed, from what it wrote. */
export function gitFailure(stderr: string, exit: Exit): RunnerError {
  const meaning = MEANINGS.find(({ said }) => said.test(stderr));
  const said = lastWords(stderr);
  if (meaning === undefined) {
    return new RunnerError('SourceFailed', `git failed with ${describeExit(exit)}: ${said}`);
  }
  return new RunnerError(meaning.reason, `${meaning.advice} git says: ${said}`);
}

/** The lines that say what went wrong, without the hints around them. */
function lastWords(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const telling = lines.filter((line) =>
    /^(fatal|error|remote|ssh:|Host key|Load key|\S+: Permission)/.test(line),
  );
  const words = (telling.length > 0 ? telling : lines).filter((line) => line !== '');
  return words.slice(0, 3).join(' ') || 'nothing';
}
