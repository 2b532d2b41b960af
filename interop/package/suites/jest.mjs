// Jest, which runs tests as CommonJS in a context of its own, in its Node and its jsdom environment.
import { join } from 'node:path';
import { Project } from '../project.mjs';

const TEST = (environment) => `/** @jest-environment ${environment} */
const { init, tensor, backendInfo } = require('zfnet');
test('trains', async () => {
  await init({ threads: 1 });
  expect(backendInfo().backend).toBe('wasm');
  const x = tensor([1, 2, 3], [3], { requiresGrad: true });
  x.mul(x).sum().backward();
  expect([...(await x.grad.data())]).toEqual([2, 4, 6]);
});
`;

export const jest = {
  name: 'jest',
  async run({ folder, registry, check, wanted }) {
    if (!wanted('jest: node') && !wanted('jest: jsdom')) return;
    const project = new Project(join(folder, 'project'), registry, { type: 'commonjs' });
    project.install('zfnet', 'jest@30', 'jest-environment-jsdom@30');
    for (const environment of ['node', 'jsdom']) {
      project.write(`${environment}.test.js`, TEST(environment));
      await check(`jest: ${environment}`, async () => {
        const { stderr } = await project.runBoth(project.bin('jest'), [`${environment}.test.js`, '--ci']);
        if (/did not exit|open handle/i.test(stderr)) throw new Error(stderr);
      });
    }
  },
};
