/** Why something could not be kept or given. */
export type StorageReason =
  /** A key that something was encrypted with is not in the folder of keys. */
  | 'KeyMissing'
  /** What is stored is not what was written: it does not decrypt, or has another digest. */
  | 'Altered'
  /** What a head speaks of is not there. */
  | 'Missing'
  /** The object store answered with an error that is not ours to mend. */
  | 'StoreRefused'
  /** The object store could not be reached, or is in trouble: it may work later. */
  | 'StoreUnavailable'
  /** Others wrote the same head each time that it was tried. */
  | 'Contention'
  /** It took so long that what was stored may be taken for left over. */
  | 'TooLate'
  | 'PlanMissing'
  | 'PlanReplaced'
  | 'PlanAltered'
  | 'StateInvalid'
  | 'LockInvalid'
  | 'LockLost'
  | 'SerialConflict'
  | 'LineageConflict';

/** Something could not be kept or given; the message says what to do about it. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly reason: StorageReason;

  constructor(reason: StorageReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** Tells errors of some reasons from all others. */
export function isStorageError(error: unknown, ...reasons: StorageReason[]): error is StorageError {
  return error instanceof StorageError && reasons.includes(error.reason);
}
