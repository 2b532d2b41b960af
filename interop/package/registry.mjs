// A npm registry on this machine (verdaccio) that holds the packed packages and passes every other request on to the configured registry.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answerOf, freePort } from '../ports.mjs';

/** Starts the registry in `folder` and returns its address, the environment for npm commands, and a function that stops it. */
export async function startRegistry(folder) {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const upstream = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
  const local = { access: '$all', publish: '$all' };
  const config = {
    storage: join(folder, 'storage'),
    auth: { htpasswd: { file: join(folder, 'htpasswd') } },
    uplinks: { upstream: { url: upstream, timeout: '60s', maxage: '1h', cache: false } },
    packages: { zfnet: local, '@zfnet/*': local, '**': { access: '$all', proxy: 'upstream' } },
    log: { type: 'stdout', format: 'json', level: 'error' },
  };
  // YAML is a superset of JSON.
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
  const bin = 'node_modules/verdaccio/bin/verdaccio';
  const server = spawn(process.execPath, [bin, '--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const userconfig = join(folder, 'npmrc');
  writeFileSync(userconfig, `registry=${url}\n//127.0.0.1:${port}/:_authToken=local\naudit=false\nfund=false\nupdate-notifier=false\n`);
  // With CI set, tools behave as on a new machine: Parcel, for one, installs no missing polyfills.
  const env = { ...process.env, CI: '1', npm_config_userconfig: userconfig, npm_config_registry: url };
  await answerOf(`${url}-/ping`, { seconds: 60, alive: () => server.exitCode === null });
  return { url, env, stop: () => server.kill() };
}
