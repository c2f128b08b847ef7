/** What a script is told when it asks for something impossible: the errno and the text that BESS answers with. */

/** The errno names that BESS's modules and ports answer with. */
export type ErrorCode = 'EBUSY' | 'EEXIST' | 'EINVAL' | 'ENODEV' | 'ENOENT' | 'ENOMEM' | 'ENOTSUP' | 'EPERM' | 'ERANGE';

/** A request that was refused. Nothing has changed, except where the method says so. */
export class BessError extends Error {
  override readonly name = 'BessError';

  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}
