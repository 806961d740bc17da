// `keymeld serve` and `keymeld doctor` as an operator meets them: start, refusals, listeners, TLS, limits, signals.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { startFleet } from './lib/fleet.mjs';
import { Appliance, Keygen, User } from './lib/keymeld.mjs';

const program = `${process.env.KEYMELD_BUILD_DIR}/bin/keymeld`;
let fleet, folder, enclaves, count = 0;

before(async () => {
  fleet = await startFleet({ enclaves: 1 });
  folder = mkdtempSync(join(tmpdir(), 'keymeld-serve-'));
  // The enclaves of the fleet serve these appliances too.
  const text = readFileSync(fleet.config, 'utf8');
  enclaves = text.slice(text.indexOf('enclaves:')).replaceAll('pki/', `${join(dirname(fleet.config), 'pki')}/`);
});
after(async () => {
  await fleet?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

// A configuration file with a database of its own.
function configure({ server = 'listen: "127.0.0.1:0"', limits = '', storage = 'plugin: storage-sqlite', enclaveText = enclaves } = {}) {
  const name = join(folder, `config-${++count}.yaml`);
  writeFileSync(name, `storage: { ${storage}, path: db-${count}.db }\ntweak: { plugin: tweak-taproot }\nserver: { ${server} }\n`
    + `limits: { ${limits} }\nlog: { level: error }\n${enclaveText}`);
  return name;
}

// Runs until it listens; resolves to {port, url, stdout(), stderr(), signal(name), ended: code}.
async function serve(config, more = []) {
  const portFile = join(folder, `port-${++count}`);
  const child = spawn(program, ['serve', '--config', config, '--port-file', portFile, ...more]);
  let stdout = '', stderr = '';
  child.stdout.on('data', (part) => { stdout += part; });
  child.stderr.on('data', (part) => { stderr += part; });
  const ended = new Promise((resolve) => child.on('close', (code) => resolve(code)));
  let over = false;
  ended.then(() => { over = true; });
  while (!existsSync(portFile)) {
    if (over) throw new Error(`serve ended: ${stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const port = Number(readFileSync(portFile, 'utf8'));
  return { port, url: `http://127.0.0.1:${port}`, portFile, ended, stdout: () => stdout, stderr: () => stderr,
    signal: (name) => child.kill(name), async stop() { child.kill('SIGTERM'); return ended; } };
}

const refused = (config, more = []) => spawnSync(program, ['serve', '--config', config, ...more], { encoding: 'utf8', timeout: 60_000 });

async function ready(appliance) {
  for (;;) {
    if ((await appliance.get('/health')).json.status === 'healthy') return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.on('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('it says where it listens and ends cleanly at SIGTERM and SIGINT', async () => {
  const config = configure();
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const one = await serve(config);
    assert.equal(one.stdout(), `listening on http://127.0.0.1:${one.port}\n`);
    one.signal(signal);
    assert.equal(await one.ended, 0, one.stderr());
    assert.equal(existsSync(one.portFile), false);
    assert.equal(one.stderr(), '');
  }
  const script = await serve(config, ['--print-port']);
  await script.stop();
  assert.equal(script.stdout(), `${script.port}\n`);
});

test('what is wrong stops the start with one line that says what to do', async () => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.on('listening', resolve));
  const token = join(folder, 'open-token');
  writeFileSync(token, 'a-token-that-everybody-reads\n');
  chmodSync(token, 0o644);
  const cases = [
    [join(folder, 'no-such-file.yaml'), /no-such-file\.yaml/],
    [configure({ server: 'listen: "0.0.0.0:0"' }), /allow_plain_http/],
    [configure({ server: 'lisen: "127.0.0.1:0"' }), /lisen/],
    [configure({ limits: 'max_participants: 1001' }), /max_participants/],
    [configure({ storage: 'plugin: storage-none' }), /storage-none/],
    [configure({ storage: 'plugin: tweak-taproot' }), /tweak-taproot/],
    [configure({ server: `listen: "127.0.0.1:${taken.address().port}"` }), /Address already in use.*another port/],
    [configure({ server: `listen: "127.0.0.1:0", keygen_token_file: ${token}` }), /everybody can read/],
    [configure({ server: 'listen: "127.0.0.1:0", tls: { certificate: none.pem, key: none.key }' }), /none\.(pem|key)/],
  ];
  for (const [config, pattern] of cases) {
    const result = refused(config);
    assert.equal(result.status, 1, `${pattern}: ${result.stderr}`);
    assert.match(result.stderr, pattern);
    assert.match(result.stderr, /^keymeld: [^\n]+\n$/);
    assert.equal(result.stdout, '');
  }
  taken.close();
  assert.equal(spawnSync(program, ['serve', '--nonsense']).status, 2);
});

test('long polls and streams end when it stops', async () => {
  const one = await serve(configure());
  const appliance = new Appliance(one.url);
  await ready(appliance);
  const session = new Keygen(appliance, [new User(), new User()]);
  assert.equal((await session.create()).status, 200);
  let stream;
  await new Promise((streaming) => {
    stream = new Promise((resolve) => {
      http.get(`${one.url}/api/v1/keygen/${session.id}/events`, { headers: session.header() }, (response) => {
        streaming();
        response.resume();
        response.on('close', () => resolve('closed'));
      });
    });
  });
  const poll = session.status(session.users[0], '?wait=60');
  // Time to be authenticated and held, on a busy machine too: a request that is not there yet is rightly refused with 503.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const start = Date.now();
  one.signal('SIGTERM');
  const answer = await poll;
  assert.equal(answer.status, 200);
  assert.equal(answer.json.status, 'collecting_participants');
  assert.equal(answer.headers.connection, 'close');
  assert.equal(await stream, 'closed');
  appliance.close();
  assert.equal(await one.ended, 0, one.stderr());
  assert.ok(Date.now() - start < 15_000);
});

test('TLS 1.3, and certificates of clients', async () => {
  const run = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  for (const name of ['server', 'client', 'stranger'])
    run('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', `/CN=${name}`,
      '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', `${name}.key`, '-out', `${name}.pem`);
  const file = (name) => readFileSync(join(folder, name));
  const one = await serve(configure({ server: 'listen: "127.0.0.1:0", tls: { certificate: server.pem, key: server.key, client_ca: client.pem }' }));
  assert.equal(one.stdout(), `listening on https://127.0.0.1:${one.port}\n`);
  const get = (options) => new Promise((resolve) => {
    https.get({ host: '127.0.0.1', port: one.port, path: '/api/v1/version', ca: file('server.pem'), agent: false, ...options }, (response) => {
      response.resume();
      resolve(`${response.statusCode} ${response.socket.getProtocol()}`);
    }).on('error', () => resolve('refused'));
  });
  const good = { cert: file('client.pem'), key: file('client.key') };
  assert.equal(await get(good), '200 TLSv1.3');
  assert.equal(await get({ ...good, maxVersion: 'TLSv1.2' }), 'refused');
  assert.equal(await get({}), 'refused');
  assert.equal(await get({ cert: file('stranger.pem'), key: file('stranger.key') }), 'refused');
  assert.equal(await one.stop(), 0);
});

test("the operator's token for POST /keygen", async () => {
  const token = join(folder, 'token');
  writeFileSync(token, 'correct-horse-battery\n', { mode: 0o600 });
  const one = await serve(configure({ server: `listen: "127.0.0.1:0", keygen_token_file: ${token}` }));
  const appliance = new Appliance(one.url);
  await ready(appliance);
  const session = new Keygen(appliance, [new User(), new User()]);
  const body = await session.createBody();
  const post = (headers) => appliance.post('/keygen', body, headers);
  const missing = await post({});
  assert.deepEqual([missing.status, missing.json.error.type, missing.headers['www-authenticate']], [401, 'auth_missing', 'KeyMeld']);
  assert.equal((await post({ Authorization: 'Basic x' })).json.error.type, 'auth_malformed');
  const wrong = await post({ Authorization: 'Bearer correct-horse-batterz' });
  assert.deepEqual([wrong.status, wrong.json.error.type], [403, 'auth_failed']);
  assert.ok(!wrong.text.includes('horse'));
  assert.equal((await post({ Authorization: 'Bearer correct-horse-battery' })).status, 200);
  assert.equal((await appliance.get(`/keygen/${session.id}/slots`)).status, 200);
  appliance.close();
  assert.equal(await one.stop(), 0);
});

test('CORS is off by default and otherwise for the listed origins', async () => {
  const origin = { Origin: 'https://wallet.example' };
  const preflight = { ...origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-session-hmac' };
  const closed = await serve(configure());
  const first = new Appliance(closed.url);
  assert.equal((await first.get('/version', origin)).headers['access-control-allow-origin'], undefined);
  assert.equal((await first.raw('OPTIONS', '/signing', { headers: preflight })).status, 405);
  first.close();
  await closed.stop();
  const open = await serve(configure({ server: 'listen: "127.0.0.1:0", cors_origins: [ "https://wallet.example" ]' }));
  const second = new Appliance(open.url);
  const allowed = await second.get('/version', origin);
  assert.equal(allowed.headers['access-control-allow-origin'], 'https://wallet.example');
  assert.equal(allowed.headers.vary, 'Origin');
  assert.equal((await second.get('/version', { Origin: 'https://evil.example' })).headers['access-control-allow-origin'], undefined);
  const asked = await second.raw('OPTIONS', '/signing', { headers: preflight });
  assert.equal(asked.status, 204);
  assert.equal(asked.headers['access-control-allow-methods'], 'POST');
  assert.match(asked.headers['access-control-allow-headers'], /X-Session-HMAC/);
  assert.equal((await second.raw('OPTIONS', '/signing', { headers: { ...preflight, Origin: 'https://evil.example' } })).status, 405);
  second.close();
  await open.stop();
});

test('operations on a listener of their own', async () => {
  const port = await freePort();
  const one = await serve(configure({ server: `listen: "127.0.0.1:0", ops_listen: "127.0.0.1:${port}"` }));
  const api = new Appliance(one.url);
  const operations = new Appliance(`http://127.0.0.1:${port}`);
  for (const path of ['/metrics', '/docs']) {
    assert.equal((await api.get(path)).status, 404, path);
    assert.equal((await operations.get(path)).status, 200, path);
  }
  for (const path of ['/health', '/version']) {
    assert.equal((await api.get(path)).status, 200, path);
    assert.equal((await operations.get(path)).status, 200, path);
  }
  assert.equal((await operations.get('/enclaves')).status, 404);
  const metrics = (await operations.get('/metrics')).text;
  assert.match(metrics, /keymeld_api_requests_total\{endpoint="unmatched",method="GET",status_code="404"\} [3-9]/);
  assert.match(metrics, /keymeld_api_requests_total\{endpoint="\/health",method="GET",status_code="200"\} 2/);
  api.close();
  operations.close();
  assert.equal(await one.stop(), 0);
});

test('a client with one request at a time is paced and never refused', async () => {
  const one = await serve(configure({ limits: 'rate_per_client: 20, rate_burst: 20' }));
  const appliance = new Appliance(one.url);
  const start = Date.now();
  for (let i = 0; i < 50; ++i) assert.equal((await appliance.get('/version')).status, 200);
  const took = Date.now() - start;
  assert.ok(took >= 1400, `${took} ms for 30 requests over the burst at 20/s`);
  // Two hundred at once do not fit into the longest delay.
  const crowd = await Promise.all(Array.from({ length: 200 }, () => appliance.get('/version')));
  const late = crowd.filter((answer) => answer.status === 429);
  assert.ok(late.length >= 100, `${late.length} refused`);
  assert.equal(late[0].json.error.type, 'rate_limited');
  assert.equal(late[0].json.error.retryable, true);
  assert.ok(Number(late[0].headers['retry-after']) >= 1);
  assert.ok(crowd.some((answer) => answer.status === 200));
  appliance.close();
  assert.equal(await one.stop(), 0);
});

test('unfinished keygen sessions per client', async () => {
  const one = await serve(configure({ limits: 'pending_keygen_sessions_per_client: 2' }));
  const appliance = new Appliance(one.url);
  await ready(appliance);
  const sessions = Array.from({ length: 3 }, () => new Keygen(appliance, [new User(), new User()]));
  const bodies = [];
  for (const session of sessions) bodies.push(await session.createBody());
  assert.equal((await appliance.post('/keygen', bodies[0])).status, 200);
  assert.equal((await appliance.post('/keygen', bodies[1])).status, 200);
  const third = await appliance.post('/keygen', bodies[2]);
  assert.deepEqual([third.status, third.json.error.type], [429, 'rate_limited']);
  // An equal request again is no further session.
  assert.equal((await appliance.post('/keygen', bodies[1])).status, 200);
  const slots = await sessions[0].slots();
  for (const user of sessions[0].users) assert.equal((await sessions[0].register(user, undefined, slots)).status, 200);
  assert.equal((await appliance.post('/keygen', bodies[2])).status, 200);
  appliance.close();
  assert.equal(await one.stop(), 0);
});

test('doctor tells what is well and what is not', async () => {
  const doctor = (config, more = ['--json']) => spawnSync(program, ['doctor', '--config', config, '--timeout', '2', ...more], { encoding: 'utf8', timeout: 60_000 });
  const good = doctor(configure());
  assert.equal(good.status, 0, good.stdout);
  const report = JSON.parse(good.stdout);
  assert.equal(report.ok, true);
  for (const name of ['configuration', 'locked memory', 'clock', 'plugin storage-sqlite', 'database', 'port'])
    assert.equal(report.checks.find((check) => check.name === name)?.result, 'ok', name);
  assert.match(report.checks.find((check) => check.name.startsWith('enclave 0')).detail, /^attested as /);

  const one = await serve(configure());
  const busy = configure({ server: `listen: "127.0.0.1:${one.port}"`,
    enclaveText: enclaves.replace(/port: \d+/, `port: ${await freePort()}`) });
  const bad = doctor(busy);
  assert.equal(bad.status, 1);
  const failures = JSON.parse(bad.stdout).checks.filter((check) => check.result === 'fail');
  assert.deepEqual(failures.map((check) => check.name.split(' (')[0]), ['port', 'enclave 0']);
  assert.ok(failures.every((check) => check.remedy.length > 10));
  await one.stop();

  const text = doctor(join(folder, 'none.yaml'), []);
  assert.equal(text.status, 1);
  assert.match(text.stdout, /^fail {2}configuration: .*none\.yaml.*\n {6}-> /);
});
