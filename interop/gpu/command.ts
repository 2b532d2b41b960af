/** Runs the program in a runtime with a command line: `command.mjs OPERATIONS [PATH OF THE PACKAGE webgpu]` prints its result as JSON. */
import { operationNames, program } from './program.js';

const [operations, path] = process.argv.slice(2);
// Kept alive: a device needs the object that create() returned.
const gpu = path ? (await import(path)).create([]) : undefined;
const result = await program({ operations: operations === 'all' ? operationNames() : operations.split(','), gpu });
console.log(JSON.stringify(result));
