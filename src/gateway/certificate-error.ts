/** What is wrong with a certificate. */
export type CertificateProblem =
  | 'CertificateMissing'
  | 'CertificateMalformed'
  | 'CertificateKeyMismatch'
  | 'CertificateExpired'
  | 'CertificateNotYetValid'
  | 'CertificateNameMissing'
  | 'CertificateUntrusted'
  | 'AuthorityUnusable';

/** The operator can not serve with a certificate; the message says what is wrong with which file. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly reason: CertificateProblem;

  constructor(reason: CertificateProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
