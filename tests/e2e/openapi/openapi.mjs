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
import { SingleKey } from '../lib/single_key.mjs';

let fleet, document, ajv;
const seen = new Map();

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
    seen.set(key, (seen.get(key) ?? 0) + 1);
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

    // One's own key of it, as a single key.
    const kept = new SingleKey(appliance, { user: users[2].id, secret: users[2].secret });
    await kept.reserve();
    const path = `/keys/${kept.user}/keygen/${session.id}`;
    assert.equal((await appliance.post(path, { key_id: kept.id }, session.header(users[2]))).status, 401);
    const keep = await appliance.post(path, { key_id: kept.id }, { ...session.header(users[2]), ...kept.header() });
    assert.equal(keep.status, 200, keep.text);
    assert.equal(keep.json.public_key, hex(users[2].publicKey));
    assert.equal((await kept.list()).json.keys[0].origin_keygen_session_id, session.id);
  } finally {
    appliance.close();
  }
});

test('single keys and their failures', async () => {
  const appliance = new JudgedAppliance(fleet.url);
  try {
    const digest = randomBytes(32);
    const made = new SingleKey(appliance);
    assert.equal((await appliance.post('/keys/reserve', {})).status, 400);
    assert.equal((await made.reserve()).status, 200);
    assert.equal((await made.status()).status, 404);
    assert.equal((await made.generate({ allowed: [] })).status, 400);
    assert.equal((await made.generate({ allowed: ['ecdsa', 'rsa'] })).status, 400);
    assert.equal((await made.generate({ label: 'a\nb' })).status, 400);
    assert.equal((await made.generate()).status, 200);
    assert.ok(made.vouched, 'the tag is the enclave\'s');
    assert.equal((await made.import()).status, 409);
    for (const type of ['ecdsa', 'schnorr_bip340']) {
      const signing = made.signing(digest, { type });
      const answer = await made.sign(signing);
      assert.equal(answer.status, 200, answer.text);
      made.open(signing, answer.json);
      const id = answer.json.signing_session_id;
      const again = await appliance.get(`/sign/single/${id}/status/${made.user}?wait=5`, made.header(id));
      assert.equal(again.json.encrypted_signature, answer.json.encrypted_signature);
      assert.equal((await appliance.get(`/sign/single/${id}/status/${made.user}`, made.header())).status, 403);
      assert.equal((await appliance.get(`/sign/single/${newId()}/status/${made.user}`, made.header(id))).status, 404);
      const replay = await made.sign(signing);
      assert.deepEqual([replay.status, replay.json.error.type], [403, 'nonce_replayed'], 'the approval');
    }
    const now = Math.floor(Date.now() / 1000);
    for (const timestamp of [now - 310, now + 600]) {
      const old = await made.sign(made.signing(digest, { timestamp }));
      assert.deepEqual([old.status, old.json.error.type], [403, 'approval_expired']);
    }
    const repeatable = made.signing(digest);
    repeatable.body.signing_session_id = newId();
    const first = await made.sign(repeatable);
    assert.equal((await made.sign(repeatable)).text, first.text, 'idempotent by the client\'s id');
    const other = made.signing(digest);
    other.body.signing_session_id = repeatable.body.signing_session_id;
    assert.equal((await made.sign(other)).status, 409);
    for (const change of [{ signature_type: 'rsa' }, { encrypted_message: 'zz' }, { encrypted_message: '00'.repeat(105) }, { approval_signature: [1] },
      { approval_timestamp: -1 }, { encrypted_session_secret: '00' }, { taproot_tweak: { type: 'unspendable_taproot' } }, { key_id: 'x' }]) {
      const signing = made.signing(digest);
      Object.assign(signing.body, change);
      assert.equal((await made.sign(signing)).status, 400, JSON.stringify(change));
    }
    const tweaked = made.signing(digest, { type: 'schnorr_bip340', tweak: { type: 'unspendable_taproot' } });
    tweaked.body.taproot_tweak = { type: 'none' };
    assert.equal((await made.sign(tweaked)).status, 403, 'the approval covers the tweak');
    assert.equal((await appliance.post('/sign/single', made.signing(digest).body)).status, 401);
    assert.equal((await appliance.post('/sign/single', made.signing(digest).body, { 'X-User-Signature': 'x' })).status, 401);

    const brought = new SingleKey(appliance);
    await brought.reserve();
    const wrong = brought.importBody();
    wrong.encrypted_private_key = wrong.encrypted_private_key.replace(/..$/, (end) => (end === '00' ? '01' : '00'));
    assert.equal((await brought.import(wrong)).status, 400);
    assert.equal((await brought.import({ ...brought.importBody(), enclave_public_key: hex(brought.authKey) })).status, 400);
    const body = brought.importBody();
    assert.equal((await brought.import(body)).status, 200);
    assert.equal((await brought.import(body)).status, 200, 'idempotent');
    assert.equal((await brought.import()).status, 409, 'another ciphertext');
    const thief = new SingleKey(appliance);
    await thief.reserve();
    assert.equal((await thief.import({ ...thief.importBody(), encrypted_private_key: body.encrypted_private_key, enclave_public_key: brought.enclaveKey })).status, 409);

    const items = [made.signing(digest), brought.signing(digest, { type: 'schnorr_bip340' }), made.signing(digest), made.signing(digest)];
    const bodies = items.map((item, i) => ({ ...item.body, user_signature: (i === 1 ? brought : made).signature() }));
    bodies[2].user_signature = brought.signature(made.id);
    bodies[3].taproot_tweak = { type: 'unspendable_taproot' }; // not with ECDSA
    const batch = await appliance.post('/sign/single/batch', { items: bodies });
    assert.equal(batch.status, 200, batch.text);
    const [one, two, three, four] = batch.json.results;
    made.open(items[0], one);
    brought.open(items[1], two);
    assert.equal(three.error.type, 'auth_failed');
    assert.deepEqual([four.error.type, four.error.details.pointer], ['validation_failed', '/items/3/taproot_tweak']);
    assert.equal((await appliance.post('/sign/single/batch', { items: [] })).status, 400);
    assert.equal((await appliance.post('/sign/single/batch', { items: Array(101).fill({}) })).status, 400);

    const listed = await made.list();
    assert.deepEqual(listed.json.keys.map((key) => [key.key_id, key.label, key.public_key, key.allowed]),
      [[made.id, 'made here', hex(made.publicKey), ['ecdsa', 'schnorr_bip340']]]);
    assert.equal((await appliance.get(`/keys/${made.user}`, made.header())).status, 400);
    assert.equal((await made.status()).json.status, 'completed');
    assert.equal((await appliance.raw('DELETE', `/keys/${made.user}/${made.id}`, { headers: brought.header(made.id) })).status, 403);
    assert.deepEqual((await made.remove()).json, { key_id: made.id, user_id: made.user, deleted: true });
    assert.equal((await made.remove()).status, 404);
    assert.equal((await made.sign(made.signing(digest))).status, 404);
  } finally {
    appliance.close();
  }
});

test('nothing that was to be judged was left out', () => {
  const operations = new Set([...seen.keys()].map((key) => key.split(' ')[0]));
  for (const item of Object.values(document.paths))
    for (const { operationId } of Object.values(item))
      assert.ok(operations.has(operationId), `${operationId} was not called`);
  assert.ok(seen.size >= 60, `${seen.size} kinds of answers`);
});
