/** Exports of the profiler of kernel calls. */
export { profile } from './profile.js';
export type { Trace, TraceEvent } from './trace.js';
export type { DeviceProfile, Profile, ProfileRow, ShaderRow, TableOptions, ThreadRow } from './types.js';
