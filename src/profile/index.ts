/** Exports of the profiler of kernel calls. */
export { profile } from './profile.js';
export type { Trace, TraceEvent } from './trace.js';
export type { Profile, ProfileRow, TableOptions, ThreadRow } from './types.js';
