/** Runs the program in a worker of a page: posts its result for the options that it receives. */
import { program } from './program.js';

addEventListener('message', (event: MessageEvent) => {
  program(event.data).then(
    (result) => postMessage(result),
    (error: unknown) => postMessage({ error: String(error) }),
  );
});
