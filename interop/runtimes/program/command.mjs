// For runtimes with a command line: `command.mjs OPTIONS` prints the result. OPTIONS are those of `run`, as JSON.
import { run } from './program.mjs';

console.log(JSON.stringify(await run(JSON.parse(process.argv.at(-1)))));
