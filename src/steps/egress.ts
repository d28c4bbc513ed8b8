/** One request of a call. */
export interface OutgoingRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
  /** How long the connection may take, with TLS, in milliseconds. */
  connectTimeoutMs: number;
  /** Certificates to trust instead of the public ones, in PEM. */
  ca?: string;
  /** Most bytes of the body of the response. */
  maxBytes: number;
}

/** What came back. */
export interface IncomingResponse {
  status: number;
  /** Names in lower case; several of a name are joined with a comma. */
  headers: Record<string, string>;
  body: Buffer;
}

/** The way out of the cluster for the calls of steps. */
export interface Egress {
  /**
   * Makes one request, and follows no redirect.
   * @throws {CallError} AddressRefused, NameNotResolved, ConnectFailed, ConnectTimeout, TlsFailed, ResponseTooLarge
   */
  request(request: OutgoingRequest): Promise<IncomingResponse>;
  close(): Promise<void>;
}
