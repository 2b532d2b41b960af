/** The deepest networks at their least input size and a small width. */
import { describe, it } from 'vitest';
import { checkNetwork } from './check_network.js';
import { DEEP } from './networks.js';

describe('deep networks', () => {
  it.each(DEEP)('%s is trained, projected, ranked, exported and imported', checkNetwork);
});
