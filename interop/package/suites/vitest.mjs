// vitest in its Node and its jsdom environment, with `gradcheck` on a user's own layer.
import { join } from 'node:path';
import { Project } from '../project.mjs';

const TEST = (environment) => `// @vitest-environment ${environment}
import { expect, test } from 'vitest';
import { init, backendInfo, Module, tensor } from 'zfnet';
import { gradcheck } from 'zfnet/testing';
test('a layer of ours', async () => {
  await init({ threads: 1 });
  expect(backendInfo().backend).toBe('wasm');
  class Square extends Module {
    forward(x) { return x.mul(x); }
  }
  const square = new Square();
  await gradcheck((x) => square.forward(x), [tensor([1, -2, 3])]);
});
`;

export const vitest = {
  name: 'vitest',
  async run({ folder, registry, check, wanted }) {
    if (!wanted('vitest: node') && !wanted('vitest: jsdom')) return;
    const project = new Project(join(folder, 'project'), registry);
    project.install('zfnet', 'fast-check', 'vitest@4', 'jsdom');
    for (const environment of ['node', 'jsdom']) {
      project.write(`${environment}.test.js`, TEST(environment));
      await check(`vitest: ${environment}`, () => void project.run(project.bin('vitest'), ['run', `${environment}.test.js`]));
    }
  },
};
