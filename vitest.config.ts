import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Several test files wait for timers and processes, so that as many workers as cores keep the cores busy.
    maxWorkers: '100%',
  },
});
