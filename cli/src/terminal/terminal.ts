/** Makes text safe for the terminal: names of classes, layers and files come from untrusted files and may contain control characters. */
import { visible } from 'zfnet/report';

/** Returns text with control characters and bidirectional overrides written as `\u…`; line breaks stay. */
export const printable = (text: string): string => text.split('\n').map(visible).join('\n');

/**
 * Lets a command continue if the reader of its output stops reading, as `head` does: the command still writes its files. Any other error of
 * standard output, such as a full disk, ends the process with exit status 1.
 */
export function surviveClosedStreams(): void {
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'EIO') return;
    process.stderr.write(`error: the result cannot be written to standard output: ${error.message}\n`);
    process.exit(1);
  });
}
