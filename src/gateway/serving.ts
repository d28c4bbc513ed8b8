import type { Watched } from './watched.ts';

/** What a server serves with, and what its callers trust; all in PEM. */
export interface ServingCertificate {
  /** Its own certificate, and after it those between it and an authority. */
  cert: string;
  key: string;
  /** One certificate or several. */
  ca: string;
}

/** The certificate of this installation: the one of the moment, for it is renewed before it ends. */
export type Serving = Watched<ServingCertificate>;

export const isSameCertificate = (one: ServingCertificate, other: ServingCertificate): boolean =>
  one.cert === other.cert && one.key === other.key && one.ca === other.ca;
