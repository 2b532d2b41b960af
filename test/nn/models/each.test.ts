/** Each network at its least input size and a small width. */
import { describe, it } from 'vitest';
import { NETWORKS, type NetworkName } from '../../../src/nn/models/index.js';
import { checkNetwork } from './check_network.js';
import { DEEP } from './networks.js';

describe('networks', () => {
  const names = (Object.keys(NETWORKS) as NetworkName[]).filter((name) => !DEEP.includes(name));
  it.each(names)('%s is trained, projected, ranked, exported and imported', checkNetwork);
});
