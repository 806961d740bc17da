// /openapi.json is a valid OpenAPI 3.1 document, and what the server says and accepts is what it describes: every answer of a whole
// ceremony, and of requests that fail, is judged by the schema of its route and status.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { startFleet } from '../lib/fleet.mjs';
import { Appliance, Keygen, User, hex, newId } from '../lib/keymeld.mjs';

let fleet, document, ajv;

// What the document says about a request, or undefined if it has no such operation.
function operationOf(method, path) {
  const plain = path.split('?')[0];
  for (const [template, item] of Object.entries(document.paths)) {
    const pattern = new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`);
    if (pattern.test(plain) && item[method.toLowerCase()]) return item[method.toLowerCase()];
  }
  return undefined;
}

function judge(schema, value, what) {
  const validate = ajv.getSchema(`openapi#${schema}`) ?? ajv.compile({ $ref: `openapi#${schema}` });
  assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`);
}

// Judges every answer; `seen` counts them by operation and status.
class JudgedAppliance extends Appliance {
  seen = new Map();
  async raw(method, path, options = {}) {
    const answer = await super.raw(method, path, options);
    const what = `${method} ${path} ${answer.status}`;
    const operation = operationOf(method, path);
    if (!operation) {
      assert.ok([404, 405].includes(answer.status), what);
      judge('/components/schemas/Error', answer.json, what);
      return answer;
    }
    const described = operation.responses[answer.status];
    assert.ok(described, `${what} is not described`);
    const key = `${operation.operationId} ${answer.status}`;
    this.seen.set(key, (this.seen.get(key) ?? 0) + 1);
    const [type] = Object.keys(described.content ?? {});
    if (!type) {
      assert.equal(answer.text, '', what);
      return answer;
    }
    assert.equal(answer.headers['content-type'].split(';')[0], type.split(';')[0], what);
    const reference = described.content[type].schema?.$ref;
    if (reference) judge(reference.slice(1), answer.json, what);
    if (answer.status >= 400) {
      assert.equal(answer.json.error.code, answer.status, what);
      assert.ok(described.description.split(', ').includes(answer.json.error.type), `${what}: ${answer.json.error.type} is not among ${described.description}`);
    }
    if (answer.status < 300 && options.body && operation.requestBody) {
      judge(operation.requestBody.content['application/json'].schema.$ref.slice(1), JSON.parse(options.body), `${what} (request)`);
    }
    return answer;
  }
}

before(async () => {
  fleet = await startFleet();
  const plain = new Appliance(fleet.url);
  document = (await plain.get('/openapi.json')).json;
  plain.close();
  ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema(document, 'openapi');
});
after(() => fleet?.stop());

test('the document is OpenAPI 3.1', async () => {
  const result = await new Validator().validate(structuredClone(document));
  assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
  assert.match(document.openapi, /^3\.1\./);
  assert.equal(document.info.title, 'KeyMeld Gateway API');
  assert.deepEqual(document.servers, [{ url: '/api/v1' }]);
  const { SessionHmac, SigningHmac } = document.components.securitySchemes;
  assert.deepEqual([SessionHmac.in, SessionHmac.name, SigningHmac.in, SigningHmac.name], ['header', 'X-Session-HMAC', 'header', 'X-Signing-HMAC']);
});

test('every component schema is a schema, and the examples fit', () => {
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    assert.ok(ajv.validateSchema(schema), `${name}: ${ajv.errorsText()}`);
    for (const example of schema.examples ?? []) judge(`/components/schemas/${name}`, example, `example of ${name}`);
  }
});

test('the schemas refuse what the server refuses', () => {
  const bad = {
    CreateSigning: [{}, { signing_session_id: newId(), keygen_session_id: newId(), message_hash: [1], timeout_secs: 1 },
      { signing_session_id: newId(), keygen_session_id: newId(), message_hash: Array(32).fill(256), timeout_secs: 1 },
      { signing_session_id: newId(), keygen_session_id: newId(), message_hash: Array(32).fill(1), timeout_secs: 0 }],
    TweakConfig: [{ type: 'bip32' }, { type: 'plain_tweak' }, {}],
    Uuid: ['x', 7], EciesBlob: ['', 'zz', 'ab'], KeyOrder: ['sorted'],
  };
  for (const [name, values] of Object.entries(bad)) {
    const validate = ajv.compile({ $ref: `openapi#/components/schemas/${name}` });
    for (const value of values) assert.equal(validate(value), false, `${name} ${JSON.stringify(value)}`);
  }
});

test('the answers of a whole ceremony and of its failures', async () => {
  const appliance = new JudgedAppliance(fleet.url);
  try {
    for (const path of ['/health', '/ready', '/version', '/enclaves', '/enclaves/0/public-key', '/enclaves/0/attestation?nonce=00ff',
      '/openapi.json', '/metrics', '/docs']) assert.equal((await appliance.get(path)).status, 200, path);
    for (const path of ['/enclaves/77/public-key', '/enclaves/77/attestation']) assert.equal((await appliance.get(path)).status, 404);
    for (const path of ['/enclaves/x/public-key', '/enclaves/0/attestation?nonce=x', '/keygen/x/slots']) assert.equal((await appliance.get(path)).status, 400);
    assert.equal((await appliance.get('/docs/nothing')).status, 404);
    assert.equal((await appliance.get('/nothing')).status, 404);
    assert.equal((await appliance.raw('PUT', '/keygen')).status, 405);

    const users = [new User(), new User(), new User()];
    const session = new Keygen(appliance, users, { aad: true, order: 'bip327_sorted' });
    assert.equal((await appliance.get(`/keygen/${session.id}/slots`)).status, 404);
    assert.equal((await appliance.post('/keygen', {})).status, 400);
    assert.equal((await appliance.raw('POST', '/keygen', { body: '{}', headers: { 'Content-Type': 'text/plain' } })).status, 415);
    const tooLarge = 'x'.repeat(2 * 1024 * 1024 + 1);
    assert.equal((await appliance.raw('POST', '/keygen', { body: tooLarge, headers: { 'Content-Type': 'application/json' } })).status, 413);
    const body = await session.createBody();
    assert.equal((await appliance.post('/keygen', body)).status, 200);
    assert.equal((await appliance.post('/keygen', { ...body, timeout_secs: 99 })).status, 409);
    assert.equal((await session.status()).status, 200);
    assert.equal((await appliance.get(`/keygen/${session.id}/status`)).status, 401);
    assert.equal((await appliance.get(`/keygen/${session.id}/status`, { 'X-Session-HMAC': 'x' })).status, 401);
    const slots = await session.slots();
    const wrong = await session.registerBody(users[0], 'none', slots.map((slot) => ({ ...slot, enclave_id: (slot.enclave_id + 1) % 3 })));
    assert.equal((await appliance.post(`/keygen/${session.id}/participants`, wrong, session.header(users[0]))).status, 400);
    for (const [i, user] of users.entries()) {
      const registered = await session.register(user, i === 0 ? 'bound' : i === 1 ? 'header' : 'none', slots);
      assert.equal(registered.status, 200, registered.text);
    }
    const status = await session.status();
    assert.equal(status.json.status, 'completed', status.text);
    session.key = Buffer.from(status.json.aggregate_public_key);
    assert.equal((await appliance.get(`/keygen/${session.id}/slots`)).status, 409);

    const message = randomBytes(32);
    const id = newId();
    const signing = await session.sign(message, id);
    assert.equal(signing.status, 200, signing.text);
    assert.equal((await appliance.post('/signing', { ...session.signingBody(message), encrypted_message: hex(randomBytes(32)) }, session.header())).status, 400);
    assert.equal((await session.signingStatus(id)).json.status, 'collecting_participants');
    assert.equal((await session.approve(id, users[0])).status, 403);
    assert.equal((await session.approve(id, users[1])).status, 200);
    const expiry = Math.floor(Date.now() / 1000) + 600;
    assert.equal((await session.approve(id, users[0], users[0].boundApproval(session.id, id, message, expiry))).status, 200);
    assert.equal((await session.finish(id, message)).status, 'completed');
    assert.equal((await session.reject(id, users[1])).status, 409);

    assert.equal((await appliance.get(`/signing/${id}/events`, { 'X-Signing-HMAC': users[2].signingHeader() })).status, 200);

    const second = newId();
    await session.sign(randomBytes(32), second);
    assert.equal((await session.reject(second, users[2])).status, 403);
    assert.equal((await session.reject(second, users[1])).json.failure.type, 'rejected');
    assert.equal((await session.signingStatus(newId())).status, 404);
    assert.equal((await appliance.get(`/keygen/${session.id}/events`, { ...session.header(), 'Last-Event-ID': '0' })).status, 200);
  } finally {
    appliance.close();
  }
  // Nothing that was to be judged was left out.
  const operations = new Set([...appliance.seen.keys()].map((key) => key.split(' ')[0]));
  for (const item of Object.values(document.paths))
    for (const { operationId } of Object.values(item))
      assert.ok(operations.has(operationId), `${operationId} was not called`);
  assert.ok(appliance.seen.size >= 35, `${appliance.seen.size} kinds of answers`);
});
