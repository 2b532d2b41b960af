/** Where the time goes. */
export { type Profile, type ProfileRow, profile } from './profile.js';
export type { TableOptions } from './table.js';
export type { Trace, TraceEvent } from './trace.js';
