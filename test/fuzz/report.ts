/** A worker's reports, one line of JSON per input. */
export interface Report {
  readonly input: number;
  /**
   * `refused`: by an error of zfnet. `untyped`: by any other error. `wrong`: accepted, with a result that the format does not
   * promise. `memory`: more than 1 GiB was allocated. `hang` and `death` are found by the parent process.
   */
  readonly outcome: 'begun' | 'accepted' | 'refused' | 'untyped' | 'wrong' | 'memory' | 'hang' | 'death';
  /** The error's class. */
  readonly error?: string;
  readonly message?: string;
  /** The innermost calls of an unexpected error. */
  readonly place?: string;
  readonly milliseconds?: number;
  readonly cpuMilliseconds?: number;
  /** Bytes that the process grew by at most. */
  readonly growth?: number;
}

export const FAILURES: readonly Report['outcome'][] = ['untyped', 'wrong', 'memory', 'hang', 'death'];
