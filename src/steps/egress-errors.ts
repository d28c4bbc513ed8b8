import { CallError } from './step-type.ts';

const NOT_RESOLVED = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME']);

/** Codes of failed verifications and handshakes; see "X509 certificate error codes" in the documentation of node:tls. */
const TLS =
  /CERT|CRL|ISSUER|LEAF_SIGNATURE|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH|^EPROTO$|^ERR_(SSL|TLS)_/;

/** A response that is cut short is an error of the parser, or one of its length, where the connection was to end with it. */
const LOST = /ECONNRESET|EPIPE|UND_ERR_SOCKET|UND_ERR_RES_CONTENT_LENGTH_MISMATCH|Invalid EOF state/;

/** Errors of reading what the server sent: of HTTP, or of a coded body. The parser gives its errors no code. */
const INVALID = /^HTTPParserError$|^Z_|^ERR__ERROR|^ZSTD_|^UND_ERR_HEADERS_OVERFLOW$/;

/** What to tell of an error of undici, of node or of TLS that kept a request from being answered. */
export function callErrorOf(error: unknown, { protocol, host, hostname }: URL): CallError {
  if (error instanceof CallError) return error;
  const { code, message } = detailsOf(error);
  const details = message.includes(code) ? message : `${message} (${code})`;
  if (NOT_RESOLVED.has(code)) {
    return new CallError('NameNotResolved', `The name ${hostname} can not be resolved: ${details}.`);
  }
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') {
    return new CallError('ConnectTimeout', `No connection to ${host} was made in time: ${details}.`);
  }
  if (protocol === 'https:' && TLS.test(code)) {
    const hint = 'If the certificate is of a CA of your own, name that CA in caFrom.';
    return new CallError('TlsFailed', `${host} could not be trusted: ${details}. ${hint}`);
  }
  if (LOST.test(details) && !details.includes('before secure TLS connection')) {
    const hint = 'Whether the request arrived is not known.';
    return new CallError(
      'ConnectionLost',
      `${host} broke the connection off before its answer was complete: ${details}. ${hint}`,
    );
  }
  if (INVALID.test(code)) {
    return new CallError('InvalidResponse', `What ${host} answered can not be read: ${details}.`);
  }
  return new CallError('ConnectFailed', `No connection to ${host}: ${details}.`);
}

/** Where several addresses of a name were tried, the message is that of the tries. */
function detailsOf(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: 'Error', message: String(error) };
  const { code = error.name }: NodeJS.ErrnoException = error;
  const tries = error instanceof AggregateError ? error.errors.map((each) => detailsOf(each).message) : [];
  return { code, message: tries.length > 0 ? tries.join(', ') : error.message };
}
