/** Tests that take minutes: `npm run test:soak` runs all of them, in five minutes, or for hours with `SOAK=long`. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.slow.ts'],
    testTimeout: process.env.SOAK === 'long' ? 24 * 3_600_000 : 600_000,
    hookTimeout: 60_000,
  },
});
