// Free ports, and waiting until a server listens.
import { createServer } from 'node:net';

/** Returns a port that is free at this moment. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Asks a server until it answers with a good status, and returns that answer. `alive()` tells whether its process still runs.
 *
 * @throws Error if the process has ended or does not answer in time
 */
export async function answerOf(url, { seconds = 30, alive = () => true } = {}) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(seconds * 1000) }).catch(() => null);
    if (answer?.ok) return answer;
    if (!alive()) throw new Error(`the server of ${url} has ended`);
    if (Date.now() > end) throw new Error(`no answer from ${url} within ${seconds} seconds${answer ? `: status ${answer.status}` : ''}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
